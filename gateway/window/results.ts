/** The results of one definition: makes the records, and remembers the latest ones. */
import type { Reading } from '../reading.ts'
import type { WindowRecord } from '../record.ts'
import type { WindowDefinition } from './definition.ts'
import { KeyPart } from './key-parts.ts'
import type { Keys } from './keys.ts'
import { Latest } from './latest.ts'
import { READINGS } from './pane-header.ts'
import type { Panes } from './panes.ts'

/** The last moment that has a date, ms since the epoch (ECMA-262, time values). */
const LAST_DATE = 8.64e15

export class Results {
  latest: Latest
  /** So many since the start. */
  count = 0
  #definition: WindowDefinition
  #type: KeyPart | undefined
  readonly #keys: Keys
  readonly #panes: Panes
  readonly #take: (record: WindowRecord, definition: WindowDefinition) => void
  readonly #dates = new Map<number, string>()

  /** @param take is given each record */
  constructor(
    definition: WindowDefinition,
    keys: Keys,
    panes: Panes,
    take: (record: WindowRecord, definition: WindowDefinition) => void,
  ) {
    this.#definition = definition
    this.#type = typePartOf(definition)
    this.#keys = keys
    this.#panes = panes
    this.#take = take
    this.latest = new Latest(definition.attach)
  }

  /** Another definition with the same signature. */
  redefine(definition: WindowDefinition): void {
    if (definition.attach !== this.#definition.attach) this.latest = new Latest(definition.attach)
    this.#definition = definition
    this.#type = typePartOf(definition)
  }

  /** The reading of this key says of which type it is. */
  noteType(row: number, reading: Reading): void {
    const type = this.#type?.of(reading)
    if (type !== undefined) this.latest.setType(row, type)
  }

  /** The latest result of the type that the reading is of. */
  latestOfType(reading: Reading): WindowRecord | undefined {
    const type = this.#type?.of(reading)
    return type === undefined ? undefined : this.latest.ofType(type)
  }

  /** @param revision of a correction; undefined for a window that closes */
  emit(row: number, start: number, end: number, pane: number, revision: number | undefined): void {
    const { by, name } = this.#definition
    const values = this.#keys.values[row] as readonly string[]
    const key: Record<string, string> = {}
    for (let i = 0; i < by.length; i++) key[by[i] as string] = values[i] as string
    const what = {
      window: name,
      key,
      start: this.#date(start),
      end: this.#date(end),
      count: this.#panes.get(pane, READINGS),
      fields: this.#panes.report(pane),
    }
    const record: WindowRecord =
      revision === undefined ? { kind: 'window', ...what } : { kind: 'correction', rev: revision, ...what }
    this.count++
    this.latest.keep(row, record)
    this.#take(record, this.#definition)
  }

  /** Many keys close the same window. */
  #date(time: number): string {
    let date = this.#dates.get(time)
    if (date === undefined) {
      if (this.#dates.size >= 8) this.#dates.clear()
      date = new Date(Math.min(Math.max(time, -LAST_DATE), LAST_DATE)).toISOString()
      this.#dates.set(time, date)
    }
    return date
  }
}

function typePartOf({ attachType }: WindowDefinition): KeyPart | undefined {
  return attachType === undefined ? undefined : new KeyPart(attachType)
}
