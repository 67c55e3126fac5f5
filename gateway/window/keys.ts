import type { SnapshotReader, SnapshotWriter } from './snapshot.ts'
import { Table } from './table.ts'

/** The pane a reading was last added to, which is nearly always the one needed next; or NONE. */
export const CURRENT = 0
/** The earliest pane kept, or NONE. */
export const HEAD = 1
/** Row of the device, when windows close by device. */
export const DEVICE = 2
/** Hash of its values, when windows close by source. */
export const HASH = 2
/** The device's next key, or NONE. */
export const NEXT_KEY = 3
export const LAST_ENTRY = 4
/** When its next window ends, ms since the epoch; Infinity when none is open. Sessions: never later than that. */
export const NEXT_CLOSE = 5
/** Counts up with each new key. */
export const AGE = 6
/** Place in the heap, or NONE. */
export const HEAP_PLACE = 7
const COLUMNS = 8

const NONE = -1

/** How many of the longest silent keys are looked up at a time. */
const CANDIDATES = 1024

/** The keys of one definition: a row each, their values, and who has been silent the longest. */
export class Keys {
  /** By row: the values in the order of `by`; undefined where the row is free. */
  values: (readonly string[] | undefined)[] = []
  readonly #table = new Table(COLUMNS)
  readonly #byText: Map<string, number> | undefined
  #age = 0
  /** The longest silent last, with the entry that was their last one then. */
  #silent: { readonly row: number; readonly age: number; readonly entry: number }[] = []

  /** @param indexed whether keys must be found by their values; not so when the device alone names the key */
  constructor(indexed: boolean) {
    this.#byText = indexed ? new Map() : undefined
  }

  get count(): number {
    return this.#table.used
  }

  get(row: number, column: number): number {
    return this.#table.cells[row * COLUMNS + column] as number
  }

  set(row: number, column: number, value: number): void {
    this.#table.cells[row * COLUMNS + column] = value
  }

  find(values: readonly string[]): number {
    return this.#byText?.get(textOf(values)) ?? NONE
  }

  /** True when the row is this key. */
  is(row: number, values: readonly string[]): boolean {
    const known = this.values[row]
    if (known === undefined) return false
    for (let i = 0; i < values.length; i++) if (known[i] !== values[i]) return false
    return true
  }

  /** @param values is copied */
  create(values: readonly string[], entry: number): number {
    const row = this.#table.allocate()
    this.set(row, CURRENT, NONE)
    this.set(row, HEAD, NONE)
    this.set(row, NEXT_KEY, NONE)
    this.set(row, LAST_ENTRY, entry)
    this.set(row, NEXT_CLOSE, Number.POSITIVE_INFINITY)
    this.set(row, AGE, this.#age++)
    this.set(row, HEAP_PLACE, NONE)
    this.values[row] = [...values]
    this.#byText?.set(textOf(values), row)
    return row
  }

  remove(row: number): void {
    this.#byText?.delete(textOf(this.values[row] as readonly string[]))
    this.values[row] = undefined
    this.#table.free(row)
  }

  /** The key that has been silent the longest, the older one of two. @param entry the current one */
  longestSilent(entry: number): number {
    return this.#nextSilent() ?? this.#lookUpSilent(entry)
  }

  /** All rows in use, in order. */
  *live(): Generator<number> {
    for (let row = 0; row < this.values.length; row++) if (this.values[row] !== undefined) yield row
  }

  /** Bytes, with an estimate for what the engine takes per value and index entry. */
  bytes(): number {
    const perKey = 48 + (this.values.find((values) => values !== undefined)?.length ?? 0) * 8
    return this.#table.cells.byteLength + this.count * (perKey + (this.#byText ? 72 : 0))
  }

  save(writer: SnapshotWriter): void {
    this.#table.save(writer)
    writer.json({ age: this.#age })
    writer.list(this.values.map((values) => values ?? null))
  }

  load(reader: SnapshotReader): void {
    this.#table.load(reader)
    const { age, values = reader.list() } = reader.json() as { age: number; values?: (string[] | null)[] }
    this.#age = age
    this.values = values.map((key) => key ?? undefined)
    for (const row of this.live()) this.#byText?.set(textOf(this.values[row] as readonly string[]), row)
  }

  /** Of those looked up before, the next that has stayed silent since. It stays in the list: it may be spared. */
  #nextSilent(): number | undefined {
    for (let next = this.#silent.at(-1); next; next = this.#silent.at(-1)) {
      const { row, age, entry } = next
      if (this.values[row] && this.get(row, AGE) === age && this.get(row, LAST_ENTRY) === entry) return row
      this.#silent.pop()
    }
    return undefined
  }

  /**
   * Looks through all keys, once for many evictions: whoever is silent now and not among the candidates can only have
   * spoken later than they. That holds for keys that were silent before the current entry, so only those are kept.
   */
  #lookUpSilent(entry: number): number {
    const all = [...this.live()].map((row) => ({ row, age: this.get(row, AGE), entry: this.get(row, LAST_ENTRY) }))
    all.sort((a, b) => a.entry - b.entry || a.age - b.age)
    const candidates = all.slice(0, Math.max(CANDIDATES, all.length >> 3)).filter((key) => key.entry < entry)
    this.#silent = candidates.reverse()
    return all[0]?.row ?? NONE
  }
}

/** Values may hold anything, so each carries its length. */
function textOf(values: readonly string[]): string {
  if (values.length === 1) return values[0] as string
  let text = ''
  for (const value of values) text += `${value.length}:${value}`
  return text
}
