import type { WindowRecord } from '../record.ts'
import type { SnapshotReader, SnapshotWriter } from './snapshot.ts'

/** Results kept for people to look at when nothing else asks for them. */
const SHOWN = 1000
/** Values of the type for which the latest result is kept. */
const MOST_TYPES = 10_000

export interface LatestState {
  readonly byKey: readonly (readonly [number, WindowRecord])[]
  readonly byType: readonly (readonly [string, WindowRecord])[]
  readonly types: readonly (string | null)[]
}

/** The latest result per key: of every key when readings carry them, else of the last thousand that had one. */
export class Latest {
  #byKey = new Map<number, WindowRecord>()
  #byType = new Map<string, WindowRecord>()
  /** By row: the type its key last had. */
  #types: (string | undefined)[] = []
  readonly #attach: boolean

  constructor(attach: boolean) {
    this.#attach = attach
  }

  /** Keeps the result unless a later window's is there. */
  keep(row: number, record: WindowRecord): void {
    const known = this.#byKey.get(row)
    if (known && known.start > record.start) return
    if (this.#attach) {
      this.#byKey.set(row, record)
      const type = this.#types[row]
      if (type !== undefined) keepBounded(this.#byType, type, record, MOST_TYPES)
    } else keepBounded(this.#byKey, row, record, SHOWN)
  }

  setType(row: number, type: string): void {
    this.#types[row] = type
  }

  of(row: number): WindowRecord | undefined {
    return this.#byKey.get(row)
  }

  ofType(type: string): WindowRecord | undefined {
    return this.#byType.get(type)
  }

  all(): WindowRecord[] {
    return [...this.#byKey.values()]
  }

  forget(row: number): void {
    this.#byKey.delete(row)
    this.#types[row] = undefined
  }

  bytes(): number {
    return this.#byKey.size * 600
  }

  /** Only what ends up in records; what is merely shown comes back with the next results. */
  save(writer: SnapshotWriter): void {
    writer.list(this.#attach ? [...this.#byKey] : [])
    writer.list(this.#attach ? [...this.#byType] : [])
    writer.list(this.#attach ? Array.from(this.#types, (type) => type ?? null) : [])
  }

  static read(reader: SnapshotReader): LatestState {
    return { byKey: reader.list(), byType: reader.list(), types: reader.list() }
  }

  restore(state: LatestState): void {
    this.#byKey = new Map(state.byKey)
    this.#byType = new Map(state.byType)
    this.#types = state.types.map((type) => type ?? undefined)
  }
}

function keepBounded<K>(map: Map<K, WindowRecord>, key: K, record: WindowRecord, bound: number): void {
  map.delete(key)
  map.set(key, record)
  if (map.size <= bound) return
  for (const oldest of map.keys()) {
    map.delete(oldest)
    return
  }
}
