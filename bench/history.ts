/**
 * `npm run bench:history`: what the history costs on the way of a reading, beside the windows, and how fast a month of one
 * field is answered out of a history that has filled its budget.
 */

import { systemClock } from '../gateway/clock.ts'
import { deviceOwner, seriesId } from '../gateway/history/block.ts'
import { type History, openHistory } from '../gateway/history/history.ts'
import { answer } from '../gateway/history/query.ts'
import { realFiles } from '../gateway/log/files.ts'
import { createReading, createShapes, type Device, NUMBER, type Reading, TEXT } from '../gateway/reading.ts'
import { createWindowStage } from '../gateway/window/stage.ts'
import { temporaryFolder } from './process.ts'
import { PER_DEVICE } from './window-definition.ts'

const SHAPE = createShapes().with('a', NUMBER).with('b', NUMBER).with('c', NUMBER).with('d', NUMBER).with('s', TEXT)
const MINUTE = 60_000
const DAY = 86_400_000

function open(directory: string): Promise<History> {
  const nothing = () => undefined
  return openHistory({
    directory,
    files: realFiles,
    clock: systemClock,
    maxBytes: 64e6,
    onTrouble: nothing,
    onDamage: nothing,
  })
}

function devicesOf(count: number): Device[] {
  return Array.from({ length: count }, (_, i) => ({ id: `dvc${i}`, slots: [] }))
}

function fill(reading: Reading, device: Device, time: number, n: number): void {
  reading.device = device
  reading.time = time
  reading.received = time
  for (let i = 0; i < 4; i++) reading.numbers[i] = ((n * (i + 3)) % 1000) / 10
  reading.texts[4] = n % 10 ? 'up' : 'down'
}

/** CPU ns per reading of five fields, 5,000 devices, 20,000 readings a second of event time. */
async function hotPath(directory: string): Promise<{ history: number; windows: number }> {
  const history = await open(directory)
  const windows = createWindowStage([PER_DEVICE], { result: () => undefined, late: () => undefined })
  const devices = devicesOf(5000)
  const reading = createReading(devices[0] as Device, SHAPE)
  let n = 0
  const measure = (count: number, take: () => void) => {
    const before = process.cpuUsage()
    for (let i = 0; i < count; i++, n++) {
      fill(reading, devices[n % devices.length] as Device, 1.7e12 + n / 20, n)
      take()
    }
    return (1000 * process.cpuUsage(before).user) / count
  }
  const turns = { empty: 0, history: 0, windows: 0 }
  for (let turn = 0; turn < 4; turn++) {
    const [empty, ofHistory, ofWindows] = [
      measure(300_000, () => undefined),
      measure(300_000, () => history.reading(reading, n + 1)),
      measure(300_000, () => windows.add(reading, n + 1)),
    ]
    // The first turn compiles.
    if (turn === 0) continue
    turns.empty += empty / 3
    turns.history += ofHistory / 3
    turns.windows += ofWindows / 3
  }
  await history.close()
  return { history: turns.history - turns.empty, windows: turns.windows - turns.empty }
}

/** A month of so many devices, a reading a minute each, then one field of one of them, in 500 points; ms. */
async function month(
  directory: string,
  count: number,
  days: number,
): Promise<{ first: number; next: number; mb: number }> {
  const history = await open(directory)
  history.start({ durable: Number.POSITIVE_INFINITY, onDurable: () => undefined })
  const devices = devicesOf(count)
  const reading = createReading(devices[0] as Device, SHAPE)
  const start = Date.now() - days * DAY
  let entry = 0
  for (let minute = 0; minute < days * 1440; minute++) {
    for (const device of devices) {
      fill(reading, device, start + minute * MINUTE, entry)
      history.reading(reading, ++entry)
    }
    if (minute % 120 !== 119) continue
    history.cut(entry)
    await history.flush(entry)
    history.trim()
  }
  await history.close()
  const again = await open(directory)
  again.start({ durable: Number.POSITIVE_INFINITY, onDurable: () => undefined })
  // A start reads again what the upper levels had not written yet; people come a moment later.
  while (again.levels.some(({ consumed }, i) => i > 0 && consumed < (again.levels[i - 1]?.log.durable ?? 0)))
    await new Promise((resolve) => setTimeout(resolve, 10))
  const ask = async () => {
    const before = performance.now()
    const id = seriesId(deviceOwner(`dvc${count >> 1}`), undefined)
    await answer(again.levels, { id, field: 'b', from: Date.now() - 30 * DAY, to: Date.now(), points: 500 })
    return performance.now() - before
  }
  const first = await ask()
  const later = [await ask(), await ask(), await ask()]
  const mb = again.levels.reduce((sum, { log }) => sum + log.bytes, 0) / 1e6
  await again.close()
  return { first, next: Math.min(...later), mb }
}

const folder = temporaryFolder()
const print = (text: string) => process.stdout.write(`${text}\n`)
const { history, windows } = await hotPath(`${folder.path}/hot`)
print(
  `a reading of 5 fields: history ${history.toFixed(0)} ns, windows ${windows.toFixed(0)} ns: ${(history / windows).toFixed(2)} of them`,
)
for (const [count, days] of [
  [40, 30],
  [1000, 8],
] as const) {
  const { first, next, mb } = await month(`${folder.path}/${count}`, count, days)
  print(
    `${count} devices, ${days} days, ${mb.toFixed(0)} MB kept: a month of one field in ${next.toFixed(1)} ms (first after a start ${first.toFixed(0)} ms)`,
  )
}
folder.remove()
