import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { HistoryQuery } from '../../gateway/http/schemas.ts'
import { startTestGateway } from '../support/gateway.ts'

test('a short stretch is answered with the readings themselves, a longer one with least and greatest kept', async (t) => {
  const site = await startTestGateway({ decode: [{ topic: 'telemetry/{device}', time: 'at' }] })
  t.after(() => site.close())
  const begin = Date.now() - 60_000
  const send = (device: string, i: number, fields: object) => {
    const body = { at: new Date(begin + i * 100).toISOString(), ...fields }
    return site.gateway.api.telemetry(`telemetry/${device}`, Buffer.from(JSON.stringify(body)), 'application/json')
  }
  for (let i = 0; i < 100; i++) {
    await send('d1', i, { level: i === 50 ? 1000 : i, on: i % 2 === 0, state: `s${i}` })
    await send('d2', i, { level: -1 })
  }
  await site.gateway.api.telemetry('telemetry/d1', Buffer.from('{"level": 3,'), undefined)
  const ask = (query: Partial<HistoryQuery>) =>
    site.gateway.api.history({
      device: 'd1',
      field: 'level',
      from: `${begin}`,
      to: `${begin + 10_000}`,
      points: 300,
      ...query,
    })

  const all = await ask({})
  assert.deepEqual([all.resolution, all.stepMs, all.kind], ['raw', 0, 'number'])
  assert.deepEqual(
    all.times.map((at) => at - begin),
    Array.from({ length: 100 }, (_, i) => i * 100),
  )
  assert.equal(all.mean?.[50], 1000)

  const thin = await ask({ points: 10 })
  assert.ok(thin.times.length <= 11, `${thin.times.length} points`)
  assert.equal(Math.max(...(thin.max ?? [])), 1000)
  assert.equal(
    thin.count.reduce((sum, n) => sum + n, 0),
    100,
  )

  assert.equal((await ask({ field: 'on' })).kind, 'boolean')
  assert.equal((await ask({ field: 'state' })).text?.at(-1), 's99')
  const part = await ask({ from: `${begin + 3000}`, to: `${begin + 4000}` })
  assert.deepEqual([part.times.length, part.mean?.[0]], [10, 30])
  assert.equal((await ask({ from: `${begin - 86_400_000}` })).resolution, '1m')
})

test('what the journal does not hold comes from the minutes', async (t) => {
  const site = await startTestGateway({ http: { listen: '127.0.0.1:0', durability: 'none' } })
  t.after(() => site.close())
  await site.gateway.api.telemetry('telemetry/d1', Buffer.from('{"level": 7}'), undefined)
  const answer = await site.gateway.api.history({ device: 'd1', field: 'level', from: '15m', points: 300 })
  assert.deepEqual([answer.resolution, answer.mean], ['1m', [7]])
})
