/** What a window is, with every duration in ms. The config layer parses and checks what a person wrote. */

export type WindowKind =
  | { readonly tumbling: number }
  /** `size` is a whole multiple of `slide`. */
  | { readonly hopping: { readonly size: number; readonly slide: number } }
  /** The pause that ends a session. */
  | { readonly session: number }

export interface WindowDefinition {
  readonly name: string
  readonly kind: WindowKind
  /** `device`, `stream`, names of tags and of text fields; empty for the whole fleet. */
  readonly by: readonly string[]
  /** How far a reading may lag behind its clock and still be on time, ms. Unused with processing time. */
  readonly delay: number
  /** Silence after which windows close without further readings, ms of monotonic time. */
  readonly idle: number
  readonly time: 'event' | 'processing'
  /** Only these fields; all when absent. */
  readonly fields?: readonly string[]
  readonly exclude: readonly string[]
  /** See `statistics.ts`; empty means the default set. */
  readonly statistics: readonly string[]
  /** Distinct values counted per text field; the rest is counted as `other`. */
  readonly textValues: number
  readonly maxKeys: number
  readonly whenFull: 'evict_oldest' | 'refuse'
  readonly late: 'correct' | 'drop'
  /** How long closed windows can be corrected, ms of the clock that closes them. */
  readonly retain: number
  /** Whether the latest result of the same key goes on raw readings. */
  readonly attach: boolean
  /** Also the latest result of any key with the same value of this tag or text field. */
  readonly attachType?: string
  /** Only readings whose tags, text fields, device or stream have these values. */
  readonly where?: Readonly<Record<string, string>>
}

/** The window's form in one shape: a tumbling window is a hopping one with `slide` = `size`. */
export interface Geometry {
  readonly session: boolean
  /** Length of a window, or the gap of a session, ms. */
  readonly size: number
  readonly slide: number
}

/** @throws RangeError for lengths that are not positive, or a size that is no multiple of its slide */
export function geometryOf(definition: WindowDefinition): Geometry {
  const { kind, name } = definition
  const session = 'session' in kind
  const size = session ? kind.session : 'tumbling' in kind ? kind.tumbling : kind.hopping.size
  const slide = 'hopping' in kind ? kind.hopping.slide : size
  if (!(size > 0 && slide > 0)) throw new RangeError(`window ${name} has a length that is not positive`)
  if (size % slide !== 0) throw new RangeError(`window ${name} has a size that is not a multiple of its slide`)
  return { session, size, slide }
}

/** True when windows close on each device's own time; otherwise on that of the sources, or of the gateway. */
export function closesByDevice(definition: WindowDefinition): boolean {
  return definition.time === 'event' && definition.by.includes('device')
}

/**
 * Equal texts mean that the state of one definition serves the other. What only bounds or times the state (`delay`,
 * `idle`, `maxKeys`, `late`, `retain` …) may be edited without losing open windows.
 */
export function signatureOf(definition: WindowDefinition): string {
  const { name, kind, by, time, fields, exclude, statistics, where } = definition
  const conditions = where ? Object.entries(where).sort(([a], [b]) => (a < b ? -1 : 1)) : []
  return JSON.stringify([name, kind, by, time, fields ?? null, exclude, statistics, conditions])
}
