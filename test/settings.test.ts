import assert from 'node:assert/strict'
import { test } from 'node:test'
import { openSettings, settingsIntact } from '../gateway/settings.ts'
import { FakeClock } from './support/clock.ts'
import { createFaultyDisk, type FaultyDisk } from './support/faulty-files.ts'

const FILE = '/data/settings.json'

async function open(disk: FaultyDisk, clock = new FakeClock()) {
  const damaged: string[] = []
  const settings = await openSettings({
    files: disk.mount(),
    data: '/data',
    clock,
    onDamage: (file) => damaged.push(file),
    watched: (writing) => writing,
  })
  return { settings, damaged }
}

test('any flipped byte of the settings is found, and they are put aside', async () => {
  const disk = createFaultyDisk()
  const { settings } = await open(disk)
  await settings.store('lamp').set('scene', { name: 'evening', level: 0.4 })
  const whole = disk.content(FILE)
  assert.equal(await settingsIntact(disk.mount(), '/data'), true)
  for (let at = 0; at < whole.length; at++) {
    const content = Buffer.from(whole)
    content[at] = (content[at] as number) ^ (1 << (at % 8))
    disk.put(FILE, content)
    assert.equal(await settingsIntact(disk.mount(), '/data'), false, `byte ${at}`)
  }
  const { settings: fresh, damaged } = await open(disk)
  assert.deepEqual([damaged, fresh.store('lamp').get('scene')], [[FILE], undefined])
  assert.ok(disk.paths().includes(`${FILE}.corrupt`))
})

test('settings that were written without a checksum are read', async () => {
  const disk = createFaultyDisk()
  disk.put(FILE, Buffer.from(JSON.stringify({ plugins: { lamp: { level: 1 } }, stages: {} }, null, 1)))
  const { settings, damaged } = await open(disk)
  assert.deepEqual([settings.store('lamp').get('level'), damaged], [1, []])
})

test('what a full disk did not take is written once there is room, though nobody asks again', async () => {
  const disk = createFaultyDisk()
  const clock = new FakeClock()
  const { settings } = await open(disk, clock)
  disk.fault = (operation) => (operation === 'write' ? 'ENOSPC' : null)
  await assert.rejects(settings.store('lamp').set('level', 2), /ENOSPC/)
  disk.fault = () => null
  await clock.advance(5000)
  for (let i = 0; i < 20; i++) await new Promise((resolve) => setImmediate(resolve))
  const { settings: again } = await open(disk)
  assert.equal(again.store('lamp').get('level'), 2)
})
