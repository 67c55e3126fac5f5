/** Where something is on a device: object, instance, resource, resource instance, each 0–65535 (LwM2M Core 1.1 §7.2). */

/** One to four numbers; empty is the device itself. */
export type Path = readonly number[]

const LARGEST = 65535

/** Of `/3303/0/5700`, with or without the first slash; undefined when it is none. */
export function parsePath(text: string): Path | undefined {
  const trimmed = text.replace(/^\//, '').replace(/\/$/, '')
  if (trimmed === '') return []
  const parts = trimmed.split('/')
  if (parts.length > 4 || !parts.every((part) => /^\d{1,5}$/.test(part))) return undefined
  const path = parts.map(Number)
  return path.every((id) => id <= LARGEST) ? path : undefined
}

export function formatPath(path: Path): string {
  return `/${path.join('/')}`
}
