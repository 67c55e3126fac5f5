/**
 * A tick may close the windows of very many devices at once: of all that the gateway stamps, at the end of each window.
 * Then it is cut into slices, one journal entry each, so that messages and acknowledgements get their turn between them.
 *
 * Which slice a device is in depends on its id alone. So a replay that lacks some devices (what is not journaled is lost
 * in a crash) still closes every other one at the same entry, and no record changes its place.
 */

/** One part of a tick: the devices whose hash leaves the rest `index` when divided by `of`. */
export interface Slice {
  readonly index: number
  readonly of: number
}

/** Devices that are closed in one go: about ten milliseconds. */
const DEVICES = 500

/** @param due how many devices close */
export function sliced(due: number): Slice | undefined {
  const of = Math.ceil(due / DEVICES)
  return of > 1 ? { index: 0, of } : undefined
}

export function nextSlice({ index, of }: Slice): Slice | undefined {
  return index + 1 < of ? { index: index + 1, of } : undefined
}

export function isIn(slice: Slice | undefined, hash: number): boolean {
  return slice === undefined || hash % slice.of === slice.index
}

/** FNV-1a over the text's units, in 30 bits. */
export function hashOf(text: string): number {
  let hash = 0x811c9dc5
  for (let i = 0; i < text.length; i++) hash = Math.imul(hash ^ text.charCodeAt(i), 0x01000193)
  // Texts that differ in their last digit alone differ in the low bits only after this.
  return (hash ^ (hash >>> 15)) & 0x3fffffff
}
