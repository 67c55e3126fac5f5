/** Sizes as people write them: `512`, `64KB`, `1MiB`, `1.5GB`. KB is 1000 bytes, KiB is 1024. */
import { scalar, shown, type Written, Wrong } from './scalar.ts'

const UNITS: Readonly<Record<string, number>> = {
  '': 1,
  b: 1,
  kb: 1e3,
  mb: 1e6,
  gb: 1e9,
  tb: 1e12,
  kib: 2 ** 10,
  mib: 2 ** 20,
  gib: 2 ** 30,
  tib: 2 ** 40,
}
const HINT = 'write a number and a unit, such as 512KB, 64MB, 1MiB or 4GB'

/** @returns bytes, a whole number @throws Wrong */
export function parseBytes(value: unknown): number {
  if (typeof value === 'number') {
    if (Number.isSafeInteger(value) && value >= 0) return value
    throw new Wrong(`${value} is not a number of bytes: ${HINT}`)
  }
  if (typeof value !== 'string') throw new Wrong(`expected a size, got ${shown(value)}: ${HINT}`)
  const match = /^(\d+(?:\.\d+)?)\s*([a-z]*)$/i.exec(value.trim())
  const unit = UNITS[match?.[2]?.toLowerCase() ?? '?']
  if (!match || unit === undefined) throw new Wrong(`${JSON.stringify(value)} is not a size: ${HINT}`)
  const bytes = Math.round(Number(match[1]) * unit)
  if (!Number.isSafeInteger(bytes)) throw new Wrong(`${value} is larger than any disk`)
  return bytes
}

/** The shortest way to write a number of bytes. */
export function formatBytes(bytes: number): string {
  for (const unit of ['TiB', 'TB', 'GiB', 'GB', 'MiB', 'MB', 'KiB', 'KB']) {
    const size = UNITS[unit.toLowerCase()] ?? 1
    if (bytes >= size && bytes % size === 0) return `${bytes / size}${unit}`
  }
  return String(bytes)
}

export interface ByteBounds {
  readonly min?: number
  readonly max?: number
}

/** A size in bytes. */
export function bytes(bounds: ByteBounds = {}, written: Written = {}) {
  const { min = 0, max = Number.MAX_SAFE_INTEGER } = bounds
  return scalar(
    (value) => {
      const size = parseBytes(value)
      if (size < min) throw new Wrong(`${value} is too small: at least ${formatBytes(min)}`)
      if (size > max) throw new Wrong(`${value} is too large: at most ${formatBytes(max)}`)
      return size
    },
    {
      type: ['string', 'integer'],
      pattern: '^\\d+(\\.\\d+)?\\s*([KMGTkmgt][Ii]?)?[Bb]?$',
      'x-value': 'bytes',
      example: '64MB',
      ...written,
    },
  )
}
