import assert from 'node:assert/strict'
import { test } from 'node:test'
import { DecodeError } from '../../../gateway/errors.ts'
import { announcementOf } from '../../../plugins/lwm2m/announcement.ts'
import { createCatalog } from '../../../plugins/lwm2m/catalog.ts'
import { decodeContent, encodings } from '../../../plugins/lwm2m/content.ts'
import { encodeSenmlCbor, encodeSenmlJson } from '../../../plugins/lwm2m/senml.ts'
import {
  decodeTlv,
  encodeTlv,
  floatBytes,
  integerBytes,
  RESOURCE,
  tlvFloat,
  tlvInteger,
} from '../../../plugins/lwm2m/tlv.ts'
import { createRandom } from '../coap/network.ts'

const catalog = createCatalog()
const TLV = 11542
const read = (format: number | undefined, data: Buffer | string, path: number[]) =>
  decodeContent(format, Buffer.from(data), path, catalog).map((entry) => [entry.path.join('/'), entry.value])

test('reads a device object in TLV, with several values of a resource', () => {
  const data = Buffer.concat([
    encodeTlv(RESOURCE, 0, Buffer.from('Open Mobile Alliance')),
    Buffer.from('8606410001410105', 'hex'),
    Buffer.from('c10964', 'hex'),
  ])
  assert.deepEqual(read(TLV, data, [3, 0]), [
    ['3/0/0', 'Open Mobile Alliance'],
    ['3/0/6/0', 1],
    ['3/0/6/1', 5],
    ['3/0/9', 100],
  ])
})

test('writes numbers of TLV in as few bytes as they need, and reads them back', () => {
  for (const number of [
    0,
    1,
    -1,
    127,
    -128,
    128,
    32767,
    -32768,
    32768,
    2147483647,
    -2147483648,
    2147483648,
    2 ** 53 - 1,
  ])
    assert.equal(tlvInteger(integerBytes(number)), number)
  assert.equal(integerBytes(127).length, 1)
  assert.equal(integerBytes(-129).length, 2)
  assert.equal(tlvFloat(floatBytes(21.1)), 21.1)
  const single = Buffer.alloc(4)
  single.writeFloatBE(21.1)
  assert.equal(tlvFloat(single), 21.1)
  const long = encodeTlv(RESOURCE, 300, Buffer.alloc(70_000))
  assert.equal(decodeTlv(long)[0]?.value.length, 70_000)
  assert.equal(decodeTlv(long)[0]?.id, 300)
})

test('refuses TLV that is cut off, out of place, or of a wrong length for its type', () => {
  const bad: [string, number[]][] = [
    ['c8', [3, 0]],
    ['c10964c1', [3, 0]],
    ['c30901', [3, 0]],
    ['8603010101', [3, 0]],
    ['c0', [3, 0]],
    ['c3090102ff', [3, 0]],
    ['c10964', [3, 0, 5]],
    ['e116da02', [3311, 0]],
    ['410164', [3, 0]],
  ]
  for (const [hex, path] of bad)
    assert.throws(() => read(TLV, Buffer.from(hex, 'hex'), path), DecodeError, `${hex} at ${path}`)
})

test('nothing a device may send does more than be refused', () => {
  const random = createRandom(7)
  for (let i = 0; i < 20_000; i++) {
    const data = Buffer.from(Array.from({ length: Math.floor(random() * 24) }, () => Math.floor(random() * 256)))
    for (const format of [TLV, 110, 112, 11543, 0, 42, undefined]) {
      try {
        decodeContent(format, data, [3303, 0], catalog)
      } catch (error) {
        assert.ok(error instanceof DecodeError, String(error))
      }
    }
  }
})

test('reads text by the type of its resource, and guesses where that is unknown', () => {
  assert.deepEqual(read(0, '21.5', [3303, 0, 5700]), [['3303/0/5700', 21.5]])
  assert.deepEqual(read(0, '1', [3311, 0, 5850]), [['3311/0/5850', true]])
  assert.deepEqual(read(undefined, '0012', [3, 0, 2]), [['3/0/2', '0012']])
  assert.deepEqual(read(0, '7', [32769, 0, 1]), [['32769/0/1', 7]])
  assert.deepEqual(read(0, 'open', [32769, 0, 1]), [['32769/0/1', 'open']])
  assert.throws(() => read(0, 'warm', [3303, 0, 5700]), DecodeError)
  assert.throws(() => read(0, '1', [3303, 0]), DecodeError)
})

test('reads SenML and LwM2M JSON with base names, times and values of every kind', () => {
  const items = [
    { name: '/3303/0/5700', value: 21.5 },
    { name: '/3/0/22', value: '3:0', link: true },
    { name: '/5/0/0', value: Buffer.from([1, 2, 255]) },
    { name: '/3311/0/5850', value: true },
  ]
  const expected = [
    ['3303/0/5700', 21.5],
    ['3/0/22', '3:0'],
    ['5/0/0', Buffer.from([1, 2, 255])],
    ['3311/0/5850', true],
  ]
  assert.deepEqual(read(110, encodeSenmlJson(items), []), expected)
  assert.deepEqual(read(112, encodeSenmlCbor(items), []), expected)
  const old = '{"bn":"/3303/0/","bt":1700000000,"e":[{"n":"5700","v":1,"t":-5},{"n":"5701","sv":"Cel"}]}'
  const entries = decodeContent(11543, Buffer.from(old), [3303, 0], catalog)
  assert.deepEqual(entries, [
    { path: [3303, 0, 5700], value: 1, time: 1_699_999_995 },
    { path: [3303, 0, 5701], value: 'Cel', time: 1_700_000_000 },
  ])
})

test('what is written in any format reads as what it was', () => {
  const cases: [number[], unknown, unknown[][]][] = [
    [[3303, 0, 5700], -0.1, [['3303/0/5700', -0.1]]],
    [[3, 0, 13], 1_700_000_000, [['3/0/13', 1_700_000_000]]],
    [[3, 0, 22], '3:0', [['3/0/22', '3:0']]],
    [[5, 0, 0], 'AQL/', [['5/0/0', Buffer.from([1, 2, 255])]]],
    [
      [3, 0],
      { 14: '+02:00', 7: { 0: 3800, 1: 5000 } },
      [
        ['3/0/14', '+02:00'],
        ['3/0/7/0', 3800],
        ['3/0/7/1', 5000],
      ],
    ],
    [[3, 0, 7], { 1: 5 }, [['3/0/7/1', 5]]],
    [[3, 0, 7, 1], 5, [['3/0/7/1', 5]]],
  ]
  for (const [path, value, expected] of cases)
    for (const { format, payload } of encodings(path, value, catalog))
      assert.deepEqual(read(format, payload, path).sort(), [...expected].sort(), `${path} in ${format}`)
})

test('names fields by object and resource, and finds them again', () => {
  assert.equal(catalog.field([3303, 0, 5700], false), 'temperature.sensor_value')
  assert.equal(catalog.field([3303, 1, 5700], true), 'temperature.1.sensor_value')
  assert.equal(catalog.field([3, 0, 7, 1], false), 'device.power_source_voltage.1')
  assert.equal(catalog.field([32769, 0, 1], false), '32769/0/1')
  assert.deepEqual(catalog.resolve('temperature.1.sensor_value'), catalog.resolve('/3303/1/5700'))
  assert.deepEqual(catalog.resolve('temperature.sensor_value'), catalog.resolve('/3303/*/5700'))
  assert.equal(catalog.resolve('temperature.colour'), undefined)
  assert.equal(catalog.resolve('/70000/0'), undefined)
  const own = { 32769: { name: 'flow', resources: { 1: { name: 'rate', type: 'float' as const, observe: true } } } }
  assert.equal(createCatalog(own).field([32769, 0, 1], false), 'flow.rate')
  assert.deepEqual(createCatalog(own).measured(32769), [1])
  assert.equal(catalog.resource(3303, 5700)?.unit, 'Cel')
})

test('understands where a client keeps its objects, and its ways of saying queue mode', () => {
  const links = Buffer.from('</lwm2m>;rt="oma.lwm2m", </lwm2m/3/0>, </lwm2m/3303/1>;ver=1.1, </other/4/0>')
  const first = announcementOf(['ep=a', 'lwm2m=1.0', 'b=UQ'], links, undefined)
  assert.ok(!('refused' in first))
  assert.deepEqual(
    [first.root, first.objects, first.queue, first.lifetime],
    [
      'lwm2m',
      [
        [3, 0],
        [3303, 1],
      ],
      true,
      86_400,
    ],
  )
  const second = announcementOf(['ep=a', 'lwm2m=1.1', 'b=U', 'Q', 'lt=60'], Buffer.from('</1/0>'), undefined)
  assert.ok(!('refused' in second))
  assert.deepEqual([second.root, second.queue, second.lifetime], ['', true, 60])
})
