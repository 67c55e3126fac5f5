/** What the state of windows takes: bytes per key and field, from the heap and the buffers before and after. */
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { createReading, createShapes, NUMBER } from '../gateway/reading.ts'
import { createWindowStage } from '../gateway/window/stage.ts'
import { PER_DEVICE } from './window-definition.ts'

const KEYS = 100_000
const ROUNDS = 15
const START = Date.UTC(2026, 10, 23, 7, 44)

/** One line of text. */
export function measureWindowState(): string {
  setFlagsFromString('--expose-gc')
  const collect = runInNewContext('gc') as () => void
  const used = () => {
    collect()
    const { heapUsed, arrayBuffers } = process.memoryUsage()
    return heapUsed + arrayBuffers
  }
  const figures = [1, 4, 10].map((fields) => {
    const { measured, own } = bytesOf(fields, used)
    const each = (bytes: number) => (bytes / KEYS / fields).toFixed(0)
    return `${each(measured)} with ${fields} (${each(own)} by its own count)`
  })
  return `window state, ${KEYS} keys, bytes per key and field: ${figures.join(', ')}`
}

/** Each key has a reading every two seconds; windows of 10 s that closed are kept for as long, to be corrected. */
function bytesOf(fields: number, used: () => number): { measured: number; own: number } {
  let shape = createShapes()
  for (let i = 0; i < fields; i++) shape = shape.with(`f${i}`, NUMBER)
  const devices = Array.from({ length: KEYS }, (_, i) => ({ id: `dvc${i}`, slots: [0] as unknown[] }))
  const reading = createReading(devices[0] ?? { id: '', slots: [] }, shape)
  const before = used()
  const stage = createWindowStage([PER_DEVICE], { result: () => undefined })
  for (let round = 0; round < ROUNDS; round++) {
    for (let i = 0; i < KEYS; i++) {
      reading.device = devices[i] ?? reading.device
      reading.time = START + round * 2000
      reading.received = reading.time
      for (let field = 0; field < fields; field++) reading.numbers[field] = i + field
      stage.add(reading, round * KEYS + i)
    }
  }
  const own = stage.stats()[0]?.bytes ?? 0
  return { measured: used() - before, own }
}
