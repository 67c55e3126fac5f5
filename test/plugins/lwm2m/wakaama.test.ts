import assert from 'node:assert/strict'
import { before, describe, it } from 'node:test'
import { systemClock } from '../../../gateway/clock.ts'
import { freePort } from '../coap/peers.ts'
import { absent, built, run } from './built.ts'
import { start, until } from './gateway.ts'

const never = new AbortController().signal

describe('the example client of Wakaama', { skip: absent('WAKAAMA') }, () => {
  let program = ''
  before(() => {
    program = built('wakaama', 'WAKAAMA')
  })

  it('registers, is observed, read, written, executed, discovered, sends, updates and leaves', async (t) => {
    const observe = ['/3/0/9', '/6/0']
    const gateway = await start(t, { options: { observe }, clock: systemClock })
    const { commander } = gateway.roles
    const args = ['-4', '-h', '127.0.0.1', '-p', String(gateway.port), '-l', String(await freePort()), '-n', 'waka']
    const client = run(t, program, [...args, '-t', '60'])
    await until(() => (commander?.reaches('waka') ? true : undefined))
    await until(() => gateway.taken[1])
    const bodies = () => gateway.bodies() as Record<string, unknown>[]
    assert.equal(typeof bodies().find((body) => 'device.battery_level' in body)?.['device.battery_level'], 'number')
    assert.ok(bodies().some((body) => typeof body['location.latitude'] === 'number'))
    client.type('change /3/0/9 42')
    await until(() => bodies().find((body) => body['device.battery_level'] === 42))
    let id = 0
    const does = (command: string, args: object) =>
      commander?.execute({ id: `c${id++}`, device: 'waka', command, args, deadline: Date.now() + 9000 }, never)
    assert.deepEqual(await does('read', { path: '/3/0/0' }), { ok: true, result: 'Open Mobile Alliance' })
    const device = (await does('read', { path: '/3/0' }))?.result as Record<string, unknown>
    assert.equal(device['/3/0/9'], 42)
    assert.equal(device['/3/0/7/0'], 3800)
    assert.deepEqual(await does('write', { path: '/3/0/14', value: '+02:00' }), { ok: true })
    assert.deepEqual(await does('read', { path: 'device.utc_offset' }), { ok: true, result: '+02:00' })
    assert.deepEqual(await does('execute', { path: '/3/0/5' }), { ok: true })
    assert.deepEqual(await does('write-attributes', { path: '/3/0/9', pmin: 1, pmax: 5 }), { ok: true })
    const links = (await does('discover', { path: '/3/0' }))?.result as { path: string }[]
    assert.ok(links.some(({ path }) => path === '/3/0/9'))
    assert.equal((await does('create', { path: '/31024', value: { 77: { 1: 5 } } }))?.ok, true)
    assert.deepEqual(await does('delete', { path: '/31024/77' }), { ok: true })
    client.type('send 0 /3/0/0 /3/0/1')
    client.type('update 0')
    await until(() => bodies().find((body) => body['device.manufacturer'] === 'Open Mobile Alliance'))
    client.type('quit')
    await until(() => (commander?.reaches('waka') ? undefined : true))
  })
})
