/**
 * A tick may close the windows of very many keys at once: of all devices that the gateway stamps, or of all keys of a
 * window over several devices. Then it is cut into slices, one journal entry each, so that messages and acknowledgements
 * get their turn between them.
 *
 *   by device     each device has a clock of its own: a slice closes the devices whose hash falls into it
 *   by source     one reading may move the clock of all keys. With very many keys they are divided into slices for good,
 *                 each with its own clock, and only ticks move those: the tick names the time, and the slices reach it
 *                 one after the other. A reading that comes meanwhile goes by the clock of its key's slice.
 *   corrections   those that wait are sent by the same slices
 *
 * Which slice a key is in depends on its values alone, and up to when it closes on the tick. So a replay that lacks some
 * readings (what is not journaled is lost in a crash) still closes every other key at the same entry, and no record
 * changes its place.
 */

/** One part of a tick: the keys whose hash leaves the rest `index` when divided by `of`. */
export interface Slice {
  readonly index: number
  readonly of: number
}

/** What a tick closes of a window over several devices with very many keys. */
export interface ClosingTime {
  /** So many slices its keys are in from now on; a power of two, never fewer than before. */
  readonly of: number
  /** Windows that end at or before it close, ms since the epoch; nothing closes when it is absent. */
  readonly to?: number
}

/** Keys or devices that are closed in one go: about ten milliseconds. */
export const KEYS = 500

/** @param due how many keys or devices close */
export function sliced(due: number): Slice | undefined {
  const of = Math.ceil(due / KEYS)
  return of > 1 ? { index: 0, of } : undefined
}

/** How many slices so many keys are divided into. */
export function sliceCount(keys: number): number {
  let of = 1
  while (of * KEYS < keys) of *= 2
  return of
}

export function nextSlice({ index, of }: Slice): Slice | undefined {
  return index + 1 < of ? { index: index + 1, of } : undefined
}

export function isIn(slice: Slice | undefined, hash: number): boolean {
  return slice === undefined || hash % slice.of === slice.index
}

/** Whether this part of a tick closes slice `at` of the `count` that a window's keys are divided into. */
export function closesSlice(part: Slice | undefined, at: number, count: number): boolean {
  return part === undefined || Math.floor((at * part.of) / count) === part.index
}

/** FNV-1a over the text's units, in 30 bits. */
export function hashOf(text: string): number {
  let hash = 0x811c9dc5
  for (let i = 0; i < text.length; i++) hash = Math.imul(hash ^ text.charCodeAt(i), 0x01000193)
  // Texts that differ in their last digit alone differ in the low bits only after this.
  return (hash ^ (hash >>> 15)) & 0x3fffffff
}
