/**
 * A block of history: one record of a level's log. It holds rows; a row is one bucket of time of one series, and a
 * bucket may have several rows, which add up. A series is what was sent together: the fields of one device's stream,
 * or the statistics of one window's key.
 *
 *   block    version u8 = 1 | first bucket u32 | last bucket u32 | base u32, all big-endian | rows
 *   row      length of the rest, varint | series, varint | [series definition] | bucket − base, zigzag | count, varint | fields
 *   series   counted from 1 in this block; 0 is the next one, and its definition follows:
 *            owner 8 bytes | stream 4 bytes | shape, varint, in the same way | [number of fields, varint | for each: kind u8, name]
 *   field    number, boolean: least | greatest, if count > 1 | sum, if these two differ      (numbers, see `numbers.ts`)
 *            text: the first one, cut at 254 bytes, or 255: as in the row of this series before
 *   name, text   length u8, at most 254, UTF-8
 *
 * Owner and stream are beginnings of SHA-256: a block needs no list of names kept elsewhere. Buckets are numbers of
 * whole steps (1 m, 1 h, 1 d) since the epoch.
 */
import * as crypto from 'node:crypto'
import { type Kind, TEXT } from '../reading.ts'
import { Bytes } from './numbers.ts'

export const VERSION = 1
export const BASE_AT = 9
export const HEAD = 13
export const ID = 12
const OWNER = 8
export const SAME_TEXT = 255
/** See `BlockWriter.row`. */
export const SAME = 1
const NO_STREAM = '\0'.repeat(ID - OWNER)

/** Fields of a series, in order. Compared by identity. */
export interface Fields {
  readonly names: readonly string[]
  readonly kinds: readonly Kind[]
}

/** A series while it is written; `ref` is its number in the block of that `generation`. */
export interface Series {
  /** Of `seriesId`. */
  readonly id: string
  readonly fields: Fields
  ref: number
}

/** Twelve bytes that name a series, as latin1 text. @param owner see `deviceOwner` and `windowOwner` */
export function seriesId(owner: string, stream: string | undefined): string {
  return ownerId(owner) + (stream === undefined ? NO_STREAM : digest(stream).slice(0, ID - OWNER))
}

/** What the ids of all series of an owner begin with. */
export function ownerId(owner: string): string {
  return digest(owner).slice(0, OWNER)
}

export function deviceOwner(device: string): string {
  return `device ${device}`
}

export function windowOwner(window: string, key: Readonly<Record<string, string>>): string {
  return `window ${JSON.stringify([window, Object.entries(key).sort(([a], [b]) => (a < b ? -1 : 1))])}`
}

function digest(text: string): string {
  // An object per hash, as older versions of Node need, costs more than the hash.
  return crypto.hash?.('sha256', text, 'binary') ?? crypto.createHash('sha256').update(text).digest('binary')
}

/** Writes one block. */
export class BlockWriter {
  readonly #bytes = new Bytes(16_384)
  #base = -1
  #first = Infinity
  #last = -Infinity
  #series = 0
  readonly #shapes = new Map<Fields, number>()

  /** Bytes so far. */
  get size(): number {
    return this.#bytes.length
  }

  /** @param values least, greatest and sum per field, from `at` on; of a text SAME, when it is that of the series' row before */
  row(series: Series, bucket: number, count: number, values: Float64Array, at: number, texts: readonly string[]): void {
    const bytes = this.#bytes
    if (this.#base < 0) {
      this.#base = bucket
      bytes.length = HEAD
    }
    if (bucket < this.#first) this.#first = bucket
    if (bucket > this.#last) this.#last = bucket
    const start = bytes.length
    const known = series.ref > 0
    this.#reference(series)
    bytes.zigzag(bucket - this.#base)
    bytes.varint(count)
    const { kinds } = series.fields
    for (let i = 0; i < kinds.length; i++) {
      if (kinds[i] !== TEXT) writeField(bytes, count, values, at + 3 * i)
      else if (known && values[at + 3 * i] === SAME) bytes.byte(SAME_TEXT)
      else bytes.text(texts[i] as string)
    }
    bytes.insertVarint(start, bytes.length - start)
  }

  #reference(series: Series): void {
    const bytes = this.#bytes
    bytes.varint(series.ref)
    if (series.ref > 0) return
    series.ref = ++this.#series
    bytes.latin1(series.id)
    const shape = this.#shapes.get(series.fields) ?? 0
    bytes.varint(shape)
    if (shape > 0) return
    const { names, kinds } = series.fields
    this.#shapes.set(series.fields, this.#shapes.size + 1)
    bytes.varint(names.length)
    for (let i = 0; i < names.length; i++) {
      bytes.varint(kinds[i] as number)
      bytes.text(names[i] as string)
    }
  }

  /** What was written, as a block; undefined when that is nothing. Valid until the next row. */
  peek(): Buffer | undefined {
    if (this.#base < 0) return undefined
    const { buffer, length } = this.#bytes
    buffer[0] = VERSION
    buffer.writeUInt32BE(this.#first, 1)
    buffer.writeUInt32BE(this.#last, 5)
    buffer.writeUInt32BE(this.#base, BASE_AT)
    return buffer.subarray(0, length)
  }
}

function writeField(bytes: Bytes, count: number, values: Float64Array, at: number): void {
  const min = values[at] as number
  bytes.number(min)
  if (count === 1) return
  const max = values[at + 1] as number
  bytes.numberOrSame(max)
  if (max !== min) bytes.number(tidy(values[at + 2] as number, min, max))
}

/** A sum of numbers with few decimals has as few, but for what floating point adds: 64.60000000000001 is 64.6. */
function tidy(sum: number, min: number, max: number): number {
  const decimals = decimalsOf(min) ?? -1
  const power = 10 ** Math.max(decimals, decimalsOf(max) ?? 7)
  if (decimals < 0 || power > 1e6) return sum
  const rounded = Math.round(sum * power) / power
  return Math.abs(rounded - sum) <= 1e-12 * Math.max(1, Math.abs(sum)) ? rounded : sum
}

function decimalsOf(value: number): number | undefined {
  for (let d = 0, power = 1; d < 7; d++, power *= 10) if (Math.round(value * power) / power === value) return d
  return undefined
}
