import assert from 'node:assert/strict'
import { before, describe, it } from 'node:test'
import { systemClock } from '../../../gateway/clock.ts'
import { absent, built, run } from './built.ts'
import { KEY, start, until } from './gateway.ts'

const never = new AbortController().signal

describe('the demo client of Anjay', { skip: absent('ANJAY') }, () => {
  let program = ''
  before(() => {
    program = built('anjay', 'ANJAY')
  })

  for (const secure of [false, true])
    it(`registers, is observed, read and written, and sends, over ${secure ? 'DTLS' : 'UDP'}`, async (t) => {
      const keys = secure ? `anjay:${KEY.toString('hex')}\n` : ''
      const gateway = await start(t, { options: { observe: ['/3/0/9'] }, clock: systemClock, keys })
      const { commander } = gateway.roles
      const security = secure
        ? ['-s', 'psk', '--identity-as-string', 'anjay', '-k', KEY.toString('hex')]
        : ['-s', 'nosec']
      const url = secure ? `coaps://127.0.0.1:${gateway.dtlsPort}` : `coap://127.0.0.1:${gateway.port}`
      const client = run(t, program, ['-e', 'anjay', '-u', url, ...security, '-l', '60'])
      await until(() => (commander?.reaches('anjay') ? true : undefined))
      const bodies = () => gateway.bodies() as Record<string, unknown>[]
      await until(() => bodies().find((body) => typeof body['device.battery_level'] === 'number'))
      let id = 0
      const does = (command: string, args: object) =>
        commander?.execute({ id: `c${id++}`, device: 'anjay', command, args, deadline: Date.now() + 9000 }, never)
      const read = await does('read', { path: '/3/0' })
      assert.match(JSON.stringify(read), /"\/3\/0\/0":"/)
      assert.deepEqual(await does('write', { path: '/1/1/1', value: 90 }), { ok: true })
      assert.deepEqual(await does('read', { path: 'server.lifetime' }), { ok: true, result: 90 })
      assert.equal((await does('discover', { path: '/3/0' }))?.ok, true)
      client.type('send 1 /3/0/0')
      await until(() => bodies().find((body) => JSON.stringify(body).includes('device.manufacturer')))
    })
})
