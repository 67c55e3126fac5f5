import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { createDecoder } from '../../gateway/decode/decoder.ts'
import { createDevices } from '../../gateway/decode/devices.ts'
import { type LookupOptions, openLookup } from '../../gateway/decode/lookup.ts'
import type { SluiceError } from '../../gateway/errors.ts'
import { createShapes } from '../../gateway/reading.ts'
import { FakeClock } from '../support/clock.ts'
import { bench } from './support.ts'

const folder = mkdtempSync(join(tmpdir(), 'sluice-lookup-'))
after(() => rmSync(folder, { recursive: true }))

const CSV = 'postcode,place,latitude,longitude\n2000,"Sydney, CBD",-33.86,151.21\n3000,Melbourne,-37.81,144.96\n'

async function open(name: string, content: string, more: Partial<LookupOptions> = {}) {
  const path = join(folder, name)
  writeFileSync(path, content)
  const clock = new FakeClock()
  const errors: SluiceError[] = []
  const table = await openLookup({ name, path, clock, report: (error) => errors.push(error), ...more })
  return { table, path, clock, errors }
}

test('columns of the row become tags, by a text, a number, a tag or the device', async () => {
  const { table } = await open('places.csv', CSV)
  const lookup = [{ table: 'places', by: 'postcode', add: ['place', 'latitude', 'height'] }]
  const lookups = { places: table }
  const tags = { place: 'Sydney, CBD', latitude: '-33.86' }
  for (const text of ['{"postcode":"2000","v":1}', '{"v":1,"postcode":2000}', '\ufeff{"postcode":2000}']) {
    assert.deepEqual(bench({ lookup }, { lookups }).read(text)[0]?.tags, tags)
  }
  assert.deepEqual(bench({ lookup, tags: ['postcode'] }, { lookups }).read('{"postcode":"2000","v":1}')[0]?.tags, {
    postcode: '2000',
    ...tags,
  })
  const byDevice = bench({ lookup: [{ table: 'places', by: 'device', add: ['place'] }] }, { lookups })
  assert.deepEqual(byDevice.read('{"v":1}', { topic: 'telemetry/3000' })[0]?.tags, { place: 'Melbourne' })
  for (const text of ['{"v":1}', '{"postcode":"9999"}', '{"postcode":"constructor"}']) {
    assert.deepEqual(bench({ lookup }, { lookups }).read(text)[0]?.tags, {})
  }
  table.close()
})

test('one look-up can use what another one added', async () => {
  const { table: sites } = await open('sites.json', '{"d1": {"postcode": 2000}}')
  const { table: places } = await open('places2.csv', CSV)
  const lookup = [
    { table: 'sites', by: 'device', add: ['postcode'] },
    { table: 'places', by: 'postcode', add: ['place'] },
  ]
  const peer = bench({ lookup }, { lookups: { sites, places } })
  assert.deepEqual(peer.read('{"v":1}')[0]?.tags, { postcode: '2000', place: 'Sydney, CBD' })
  sites.close()
  places.close()
})

test('readings with the same tags share one frozen object', async () => {
  const { table } = await open('shared.csv', CSV)
  const rule = { topic: 't/{device}', tags: ['state'], lookup: [{ table: 'p', by: 'postcode', add: ['place'] }] }
  const parts = { devices: createDevices(), shapes: createShapes(), lookups: { p: table } }
  const decoder = createDecoder({ rules: [rule], ...parts })
  const seen = new Set<object>()
  for (const device of ['a', 'b']) {
    const route = decoder.route(`t/${device}`)
    assert.ok(route)
    for (const state of ['NSW', 'VIC', 'NSW']) {
      const bytes = Buffer.from(`{"state":"${state}","postcode":2000,"v":1}`)
      decoder.decode(route, 't', bytes, 0, bytes.length, undefined, 0, true, ({ tags }) => seen.add(tags))
    }
  }
  assert.equal(seen.size, 2)
  assert.ok([...seen].every(Object.isFrozen))
  table.close()
})

test('the table is loaded again when its file changes, and a bad file keeps the old rows', async () => {
  const reloads: number[] = []
  const reloaded = (rows: number) => void reloads.push(rows)
  const { table, path, clock, errors } = await open('moving.json', '[{"id":"a","room":"hall"}]', { reloaded })
  const peer = bench({ lookup: [{ table: 't', by: 'device', add: ['room'] }] }, { lookups: { t: table } })
  const room = () => peer.read('{"v":1}', { topic: 'telemetry/a' })[0]?.tags.room
  assert.equal(room(), 'hall')
  writeFileSync(path, '[{"id":"a","room":"kitchen"}]')
  assert.equal(room(), 'hall')
  assert.equal(await table.refresh(), true)
  assert.equal(room(), 'kitchen')
  for (const bad of ['[{"id":"a",', '7', '[7]']) {
    writeFileSync(path, bad)
    assert.equal(await table.refresh(), false)
    assert.equal(await table.refresh(), false)
  }
  rmSync(path)
  await table.refresh()
  await table.refresh()
  assert.equal(room(), 'kitchen')
  assert.deepEqual(
    errors.map((error) => error.code),
    Array.from({ length: 4 }, () => 'SLUICE_LOOKUP'),
  )
  writeFileSync(path, '[{"id":"a","room":"attic"}]')
  await clock.advance(4999)
  assert.equal(room(), 'kitchen')
  await clock.advance(1)
  // The timer has begun to look at the file; who asks meanwhile waits for the same look.
  await table.refresh()
  assert.equal(room(), 'attic')
  assert.deepEqual(reloads, [1, 1])
  table.close()
})

test('the key may be any column, and the format is known by name or first character', async () => {
  const { table } = await open('by-place.csv', CSV, { key: 'place' })
  assert.equal(table.get('Melbourne')?.postcode, '3000')
  const { table: other } = await open('table.txt', '{"x":{"y":true}}')
  assert.deepEqual(other.get('x'), { y: 'true' })
  assert.equal(other.get('__proto__'), undefined)
  table.close()
  other.close()
})

test('a table that can not be read at start refuses to start, naming it', async () => {
  const clock = new FakeClock()
  const report = () => {}
  const missing = openLookup({ name: 'places', path: join(folder, 'none.csv'), clock, report })
  await assert.rejects(missing, { name: 'StartError', code: 'SLUICE_LOOKUP', message: /lookup places: .*none\.csv/ })
  await assert.rejects(open('keyless.csv', CSV, { key: 'zip' }), { code: 'SLUICE_LOOKUP', message: /no column zip/ })
  const rule = { topic: 't/{device}', lookup: [{ table: 'nowhere', by: 'device', add: [] }] }
  const parts = { devices: createDevices(), shapes: createShapes() }
  assert.throws(() => createDecoder({ rules: [rule], ...parts }), { code: 'SLUICE_LOOKUP' })
})
