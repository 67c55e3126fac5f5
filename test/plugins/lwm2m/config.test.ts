import assert from 'node:assert/strict'
import { test } from 'node:test'
import { z } from 'zod'
import { lwm2m } from '../../../plugins/lwm2m/index.ts'

test('names what is wrong in commands and in what to observe', () => {
  const parsed = lwm2m.config.safeParse({
    observe: ['temperature.sensor_value', 'weather'],
    commands: { on: { write: '/3311/0/5850', read: '/3/0' }, off: { write: '/3311/x' } },
    endpoints: { a: { observe: ['/3303/*/5700'] } },
  })
  assert.equal(parsed.success, false)
  const again = lwm2m.config.safeParse({ observe: ['weather'], commands: { off: { write: '/3311/x' } } })
  const paths = again.success ? [] : again.error.issues.map(({ path }) => path.join('.'))
  assert.deepEqual(paths, ['observe.0', 'commands.off'])
})

test('refuses to listen to the world without keys', () => {
  assert.equal(lwm2m.config.safeParse({ listen: '0.0.0.0:5683' }).success, false)
  assert.equal(lwm2m.config.safeParse({ listen: '0.0.0.0:5683', anonymous: true }).success, true)
})

test('can be written as JSON Schema', () => {
  assert.ok(z.toJSONSchema(lwm2m.config, { io: 'input', unrepresentable: 'any' }))
})
