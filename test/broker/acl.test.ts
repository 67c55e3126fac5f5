import assert from 'node:assert/strict'
import { test } from 'node:test'
import { mayPublish, maySubscribe, permissionsFor } from '../../gateway/broker/acl.ts'

test('without rules everything is allowed but $SYS', () => {
  const all = permissionsFor(undefined, 'ann', 'c1')
  assert.ok(mayPublish(all, 'a/b'))
  assert.ok(maySubscribe(all, '#'))
  assert.ok(!mayPublish(all, '$SYS/x'))
})

test('with rules what none allows is denied', () => {
  const rules = [
    { publish: ['public/#'] },
    { user: 'ann', publish: ['telemetry/{user}/+'], subscribe: ['command/{client}/#'] },
  ]
  const ann = permissionsFor(rules, 'ann', 'c1')
  assert.ok(mayPublish(ann, 'telemetry/ann/cpu'))
  assert.ok(mayPublish(ann, 'public/x'))
  assert.ok(!mayPublish(ann, 'telemetry/bob/cpu'))
  assert.ok(maySubscribe(ann, 'command/c1/+'))
  assert.ok(maySubscribe(ann, 'command/c1/#'))
  assert.ok(!maySubscribe(ann, 'command/+/x'))
  assert.ok(!maySubscribe(ann, '#'))
  const stranger = permissionsFor(rules, undefined, 'c1')
  assert.ok(mayPublish(stranger, 'public/x'))
  assert.ok(!maySubscribe(stranger, 'command/c1/x'))
})

test('a name cannot widen the pattern that it is put into', () => {
  const rules = [{ publish: ['telemetry/{user}', 't/dev-{client}'], subscribe: ['telemetry/{user}', 'x/{client}/y'] }]
  for (const name of ['+', '#', 'a/b', '', 'a+']) {
    const permissions = permissionsFor(rules, name, name)
    assert.ok(!maySubscribe(permissions, 'telemetry/+'), name)
    assert.ok(!maySubscribe(permissions, 'telemetry/#'), name)
    assert.ok(!maySubscribe(permissions, `telemetry/${name}`), name)
    assert.ok(!mayPublish(permissions, 'telemetry/bob'), name)
    assert.ok(!maySubscribe(permissions, 'x/+/y'), name)
  }
  const odd = permissionsFor(rules, '{client}', 'victim')
  assert.ok(!mayPublish(odd, 'telemetry/victim'))
  assert.ok(mayPublish(odd, 'telemetry/{client}'))
})

test('a subscription is allowed only when all it can match is', () => {
  const may = (pattern: string, filter: string) =>
    maySubscribe(permissionsFor([{ subscribe: [pattern] }], 'u', 'c'), filter)
  assert.ok(may('#', 'a/+/#'))
  assert.ok(!may('#', '$SYS/#'))
  assert.ok(may('$SYS/#', '$SYS/+/x'))
  assert.ok(may('a/+', 'a/+'))
  assert.ok(may('a/+', 'a/b'))
  assert.ok(!may('a/+', 'a/#'))
  assert.ok(!may('a/+', 'a'))
  assert.ok(may('a/#', 'a'))
  assert.ok(!may('a/b', 'a/+'))
})
