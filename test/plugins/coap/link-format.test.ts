import assert from 'node:assert/strict'
import { test } from 'node:test'
import { filterLinks, formatLinks, parseLinks } from '../../../plugins/coap/link-format.ts'

test('reads the examples of RFC 6690, and what LwM2M clients send', () => {
  assert.deepEqual(
    parseLinks('</sensors/temp>;rt="temperature-c";if="sensor",</sensors/light>;rt="light-lux"; obs;sz=100').map(
      (l) => ({
        ...l,
        attributes: { ...l.attributes },
      }),
    ),
    [
      { path: '/sensors/temp', attributes: { rt: 'temperature-c', if: 'sensor' } },
      { path: '/sensors/light', attributes: { rt: 'light-lux', obs: true, sz: '100' } },
    ],
  )
  assert.deepEqual(
    parseLinks('</>;rt="oma.lwm2m";ct=11543, </1/0>,</3/0>').map((l) => l.path),
    ['/', '/1/0', '/3/0'],
  )
})

test('keeps commas, semicolons and quotes that stand in quotes', () => {
  const links = parseLinks('</a>;title="one, \\"two\\"; three",</b>')
  assert.equal(links[0]?.attributes.title, 'one, "two"; three')
  assert.equal(links[1]?.path, '/b')
  assert.equal(formatLinks(links), '</a>;title="one, \\"two\\"; three",</b>')
})

test('ends at what is no link, and is quick about it', () => {
  assert.deepEqual(parseLinks('nonsense'), [])
  assert.equal(parseLinks('</a>,nonsense').length, 1)
  assert.equal(parseLinks(`</a>;t="${'\\"'.repeat(50_000)}`).length, 1)
})

test('finds links by attribute, one of several types, or the beginning of a value', () => {
  const links = parseLinks('</a>;rt="one two",</b>;rt="three";obs')
  const paths = (query: string) => filterLinks(links, [query]).map((l) => l.path)
  assert.deepEqual(paths('rt=two'), ['/a'])
  assert.deepEqual(paths('rt=t*'), ['/a', '/b'])
  assert.deepEqual(paths('href=/b*'), ['/b'])
  assert.deepEqual(paths('obs'), ['/b'])
  assert.deepEqual(paths('missing=1'), [])
})
