import assert from 'node:assert/strict'
import { test } from 'node:test'
import { startTestGateway } from '../support/gateway.ts'

test('a few devices can be asked for by id', async (t) => {
  const site = await startTestGateway({ devices: { 'lamp-1': { name: 'Desk lamp' } } })
  t.after(() => site.close())
  for (const id of ['a', 'b', 'c'])
    await site.gateway.api.telemetry(`telemetry/${id}`, Buffer.from('{"level": 1}'), undefined)
  const ask = async (query: string) => {
    const answer = await fetch(`http://127.0.0.1:${site.port('http')}/api/devices?${query}`)
    return ((await answer.json()) as { devices: { id: string }[] }).devices.map(({ id }) => id)
  }
  assert.deepEqual(await ask('id=c&id=a&id=lamp-1&id=nobody'), ['a', 'c', 'lamp-1'])
  assert.deepEqual(await ask('id=b'), ['b'])
  assert.deepEqual(await ask(''), ['a', 'b', 'c', 'lamp-1'])
})
