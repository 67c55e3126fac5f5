import assert from 'node:assert/strict'
import { test } from 'node:test'
import { FilterTree } from '../../gateway/broker/filter-tree.ts'
import { TopicTable } from '../../gateway/broker/topic-table.ts'
import { isTopicFilter, isTopicName, matches, textOf } from '../../gateway/broker/topics.ts'

test('filters match as section 4.7 says', () => {
  const cases: [string, string, boolean][] = [
    ['sport/tennis/#', 'sport/tennis', true],
    ['sport/tennis/#', 'sport/tennis/a/b', true],
    ['#', 'a', true],
    ['+', 'a', true],
    ['+', 'a/b', false],
    ['+/+', '/a', true],
    ['/+', '/a', true],
    ['+', '/a', false],
    ['a/+', 'a/', true],
    ['a/+', 'a', false],
    ['a//b', 'a//b', true],
    ['a/+/b', 'a//b', true],
    ['#', '$SYS/a', false],
    ['+/a', '$SYS/a', false],
    ['$SYS/#', '$SYS/a', true],
    ['$SYS/+', '$SYS/a', true],
  ]
  for (const [filter, topic, expected] of cases) {
    assert.equal(matches(filter, topic), expected, `${filter} and ${topic}`)
    const tree = new FilterTree<string>()
    tree.add(filter, 'x')
    assert.equal(tree.has(topic), expected, `tree: ${filter} and ${topic}`)
    tree.remove(filter, 'x')
    assert.equal(tree.has(topic), false)
    assert.equal(tree.size, 0)
  }
})

test('the tree finds what matching one by one finds, while filters come and go', () => {
  const random = generator(7)
  const levels = ['a', 'b', '', '+', '$x']
  const filters = new Set<string>()
  const tree = new FilterTree<string>()
  for (let round = 0; round < 3000; round++) {
    const parts = Array.from({ length: 1 + random(4) }, () => levels[random(levels.length)] ?? 'a')
    const filter = (random(3) === 0 ? [...parts, '#'] : parts).join('/') || '+'
    if (random(2) === 0) {
      tree.remove(filter, filter)
      filters.delete(filter)
    } else {
      tree.add(filter, filter)
      filters.add(filter)
    }
    const topic = parts.map((level) => (level === '+' ? 'b' : level)).join('/') || 'a'
    const found: string[] = []
    tree.match(topic, found)
    assert.deepEqual(found.sort(), [...filters].filter((each) => matches(each, topic)).sort())
    assert.equal(tree.size, filters.size)
  }
})

test('names have no wildcards, filters have them alone in their level', () => {
  for (const good of ['a', '/', 'a/b', ' ', '$SYS', 'ä/日']) assert.ok(isTopicName(good), good)
  for (const bad of ['', 'a/+', '#', 'a#', 'a\0', 'a/'.repeat(100)]) assert.ok(!isTopicName(bad), bad)
  for (const good of ['#', '+', 'a/+/b', '+/#', '/', 'a/#']) assert.ok(isTopicFilter(good), good)
  for (const bad of ['', 'a+', '+a', 'a/b#', '#/a', 'a/#/b', 'a\0', '++', '/'.repeat(100)])
    assert.ok(!isTopicFilter(bad), bad)
})

test('text is well-formed UTF-8 without NUL', () => {
  const read = (bytes: number[]) => textOf(Buffer.from(bytes), 0, bytes.length)
  assert.equal(read([0x61, 0x62]), 'ab')
  assert.equal(read([0xc3, 0xa4]), 'ä')
  assert.equal(read([0xef, 0xbf, 0xbd]), '\uFFFD')
  for (const bad of [[0], [0xc3], [0xff], [0xed, 0xa0, 0x80], [0xc0, 0x80], [0xf4, 0x90, 0x80, 0x80]])
    assert.equal(read(bad), null, String(bad))
})

test('the topic table asks once per topic, grows, and is bounded', () => {
  const asked: string[] = []
  const table = new TopicTable<string>(3000, (topic) => {
    asked.push(topic)
    return topic
  })
  const find = (topic: string) => table.find(Buffer.from(`xx${topic}yy`), 2, 2 + topic.length)
  for (let i = 0; i < 3000; i++) assert.equal(find(`telemetry/d${i}`)?.route, `telemetry/d${i}`)
  for (let i = 0; i < 3000; i++) assert.equal(find(`telemetry/d${i}`)?.topic, `telemetry/d${i}`)
  assert.equal(asked.length, 3000)
  assert.equal(find('telemetry/one-too-many')?.topic, 'telemetry/one-too-many')
  assert.equal(table.size, 1)
  assert.equal(find('a/#'), null)
})

/** Numbers that are the same in every run. */
function generator(seed: number): (below: number) => number {
  let state = seed
  return (below) => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0
    return Math.floor((state / 2 ** 32) * below)
  }
}
