/**
 * Readings without a time of their own that came before the gateway's clock was right: they wait here for the entry
 * that says how wrong it was, and are then counted with their true time. Part of the state, so a checkpoint keeps them
 * and a replay holds back the same ones.
 */
import type { Devices } from '../decode/devices.ts'
import type { Kind } from '../reading.ts'
import { createReading, NUMBER, type Reading, type Shape, type Tags, TEXT } from '../reading.ts'

/** More than these are dropped, with a gap: about 20 MB. */
export const MAX_HELD = 50_000

/** Plain JSON; times are of the clock that was wrong, ms since the epoch. */
export interface HeldReading {
  readonly source: string
  readonly device: string
  readonly stream?: string
  readonly tags: Tags
  readonly time: number
  readonly received: number
  readonly names: readonly string[]
  readonly kinds: readonly Kind[]
  readonly values: readonly (number | string)[]
}

/** What found no room, by source. Times as above. */
export interface HeldLoss {
  readonly source: string
  count: number
  readonly from: number
  to: number
}

export interface HeldState {
  readonly readings: readonly HeldReading[]
  readonly lost: readonly HeldLoss[]
}

export class HeldReadings {
  #readings: HeldReading[] = []
  #lost: HeldLoss[] = []

  get size(): number {
    return this.#readings.length + this.#lost.length
  }

  /** Wall clock of the last one, as wrong as it was; undefined when none waits. */
  get last(): number | undefined {
    const times = [this.#readings.at(-1)?.received, ...this.#lost.map(({ to }) => to)]
    const known = times.filter((time) => time !== undefined)
    return known.length > 0 ? Math.max(...known) : undefined
  }

  /** False when there is no room: it is lost, and counted as such. */
  add(reading: Reading, keep: boolean): boolean {
    if (!keep || this.#readings.length >= MAX_HELD) {
      this.#lose(reading)
      return false
    }
    this.#readings.push(copyOf(reading))
    return true
  }

  /** Empties it: gives each reading, as a row that the next call reuses, and what was lost, moved by `offset` ms. */
  release(offset: number, devices: Devices, shapes: Shape, each: (reading: Reading) => void): readonly HeldLoss[] {
    const readings = this.#readings
    const lost = this.#lost
    this.#readings = []
    this.#lost = []
    let row: Reading | undefined
    for (const held of readings) {
      row ??= createReading(devices.get(held.device), shapes)
      fill(row, held, offset, devices, shapes)
      each(row)
    }
    return lost.map((loss) => ({ ...loss, from: loss.from + offset, to: loss.to + offset }))
  }

  state(): HeldState | undefined {
    return this.size === 0
      ? undefined
      : { readings: [...this.#readings], lost: this.#lost.map((loss) => ({ ...loss })) }
  }

  restore(state: HeldState | undefined): void {
    this.#readings = [...(state?.readings ?? [])]
    this.#lost = (state?.lost ?? []).map((loss) => ({ ...loss }))
  }

  #lose({ source, received }: Reading): void {
    const known = this.#lost.find((loss) => loss.source === source)
    if (known) {
      known.count++
      known.to = received
    } else {
      this.#lost.push({ source, count: 1, from: received, to: received })
    }
  }
}

function copyOf({ source, device, stream, tags, time, received, shape, numbers, texts }: Reading): HeldReading {
  const { names, kinds } = shape
  const values = kinds.map((kind, i) => (kind === TEXT ? (texts[i] as string) : (numbers[i] as number)))
  const { id } = device
  return { source, device: id, ...(stream === undefined ? {} : { stream }), tags, time, received, names, kinds, values }
}

function fill(row: Reading, held: HeldReading, offset: number, devices: Devices, shapes: Shape): void {
  const { source, device, stream, tags, time, received, names, kinds, values } = held
  row.source = source
  row.device = devices.get(device)
  row.stream = stream
  row.tags = tags
  row.time = time + offset
  row.received = received + offset
  row.stamped = true
  let shape = shapes
  for (let i = 0; i < names.length; i++) {
    const kind = kinds[i] ?? NUMBER
    shape = shape.with(names[i] as string, kind)
    const value = values[i]
    if (typeof value === 'string') row.texts[i] = value
    else row.numbers[i] = value ?? Number.NaN
  }
  row.shape = shape
}
