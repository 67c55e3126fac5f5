import assert from 'node:assert/strict'
import { mkdirSync, mkdtempSync, rmSync, statSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { blockDeviceOf } from '../../gateway/disk/block-device.ts'
import { createWear } from '../../gateway/disk/wear.ts'
import { FakeClock } from '../support/clock.ts'

const GB = 1e9

/** A `/sys` with one SD card whose second partition holds the temporary folder, as Linux shows it. */
function fakeSystem(t: { after(end: () => void): void }) {
  const root = mkdtempSync(join(tmpdir(), 'sluice-sys-'))
  t.after(() => rmSync(root, { recursive: true, force: true }))
  const { dev } = statSync(root)
  const number = `${(dev >>> 8) & 0xfff}:${(dev & 0xff) | ((dev >>> 12) & 0xfff00)}`
  const card = join(root, 'sys/devices/mmc0/block/mmcblk0')
  mkdirSync(join(card, 'mmcblk0p2'), { recursive: true })
  mkdirSync(join(card, 'device'))
  mkdirSync(join(root, 'sys/dev/block'), { recursive: true })
  writeFileSync(join(card, 'mmcblk0p2', 'partition'), '2\n')
  writeFileSync(join(card, 'size'), `${(32 * GB) / 512}\n`)
  const write = (bytes: number) =>
    writeFileSync(join(card, 'stat'), `  83075 25327 2099402 7580 19585 112855 ${bytes / 512} 27460 0 6848 35549\n`)
  write(5 * GB)
  symlinkSync(join(card, 'mmcblk0p2'), join(root, 'sys/dev/block', number))
  return { root, card, write }
}

test('finds the whole card below a directory, and what it says of its wear', (t) => {
  const { root, card } = fakeSystem(t)
  const device = blockDeviceOf(root, root)
  assert.equal(device?.name, 'mmcblk0')
  assert.equal(device?.size, 32 * GB)
  assert.equal(device?.written(), 5 * GB)
  assert.equal(device?.used(), undefined)
  writeFileSync(join(card, 'device', 'life_time'), '0x01 0x03\n')
  assert.equal(device?.used(), 0.3)
  writeFileSync(join(card, 'device', 'life_time'), '0x00 0x0b\n')
  assert.equal(device?.used(), 1)
})

test('a directory on no disk has no device', (t) => {
  const { root } = fakeSystem(t)
  rmSync(join(root, 'sys/dev'), { recursive: true })
  assert.equal(blockDeviceOf(root, root), undefined)
  assert.equal(blockDeviceOf('/no/such/directory', root), undefined)
})

test('estimates the years of a card from what the device wrote, once it has watched for ten minutes', async (t) => {
  const { root, write } = fakeSystem(t)
  const clock = new FakeClock()
  let own = 1000
  const wear = createWear(() => own, blockDeviceOf(root, root), { cycles: 1000 }, clock)
  own = 500_000_000
  write(6 * GB)
  assert.deepEqual(wear(), { bytesWritten: 500_000_000, deviceBytesWritten: GB })
  await clock.advance(24 * 3_600_000)
  const years = wear().lifeYears ?? 0
  assert.ok(Math.abs(years - (32 * 1000) / 365.25) < 0.1, `${years} years at a gigabyte a day`)
})

test('without a device it reckons with what the gateway itself wrote', async () => {
  const clock = new FakeClock()
  const wear = createWear(() => GB, undefined, { size: 16 * GB, cycles: 500 }, clock)
  await clock.advance(24 * 3_600_000)
  const { lifeYears, ...rest } = wear()
  assert.deepEqual(rest, { bytesWritten: GB })
  assert.ok(Math.abs((lifeYears ?? 0) - (16 * 500) / 365.25) < 0.1)
})
