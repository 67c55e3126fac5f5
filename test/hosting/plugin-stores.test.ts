import assert from 'node:assert/strict'
import { test } from 'node:test'
import { openPluginStores } from '../../gateway/hosting/plugin-stores.ts'
import type { PluginStore } from '../../gateway/plugin.ts'
import { memoryStore } from '../plugins/contract.ts'
import { FakeClock } from '../support/clock.ts'
import { createFaultyDisk, type FaultyDisk } from '../support/faulty-files.ts'

function open(
  disk: FaultyDisk,
  before: (instance: string) => PluginStore = () => memoryStore(),
  clock = new FakeClock(),
) {
  const place = { directory: '/data/plugins', files: disk.mount(), clock, onTrouble() {}, onDamage() {} }
  return openPluginStores(place, before)
}

test('what an instance keeps is there again after a crash, what it deleted is not, and others do not see it', async () => {
  const disk = createFaultyDisk()
  const lamp = (await open(disk)).of('lamp')
  await lamp.set('scene', { level: 0.4 })
  await lamp.set('scene', { level: 0.5 })
  await lamp.set('night', true)
  await lamp.delete('night')
  const again = await open(disk)
  assert.deepEqual([...again.of('lamp').entries()], [['scene', { level: 0.5 }]])
  assert.deepEqual([...again.of('door').entries()], [])
})

test('what the first builds kept is taken over once', async () => {
  const disk = createFaultyDisk()
  const before = memoryStore()
  await before.set('level', 1)
  const stores = await open(disk, () => before)
  assert.equal(stores.of('lamp').get('level'), 1)
  await stores.of('lamp').delete('level')
  await stores.close()
  assert.equal((await open(disk, () => before)).of('lamp').get('level'), undefined)
})

test('the log stays in proportion to what is kept, however often it changes', async () => {
  const disk = createFaultyDisk()
  const stores = await open(disk)
  const store = stores.of('lamp')
  const value = 'x'.repeat(500)
  for (let i = 0; i < 12_000; i += 500)
    await Promise.all(Array.from({ length: 500 }, (_, j) => store.set(`key ${j % 100}`, `${value}${i + j}`)))
  await stores.close()
  const bytes = disk
    .paths()
    .filter((path) => path.startsWith('/data/plugins'))
    .reduce((sum, path) => sum + disk.content(path).length, 0)
  assert.ok(bytes < 3_000_000, `${bytes} bytes`)
  const again = (await open(disk)).of('lamp')
  assert.equal([...again.entries()].length, 100)
  assert.equal(again.get('key 99'), `${value}11999`)
})

test('on a disk that takes nothing a plugin is told so, and does not wait', async () => {
  const disk = createFaultyDisk()
  const stores = await open(disk)
  const store = stores.of('lamp')
  disk.fault = (operation) => (operation === 'write' ? 'ENOSPC' : null)
  await assert.rejects(store.set('level', 2), /cannot be written/)
  await assert.rejects(store.set('level', 3), /cannot be written/)
})
