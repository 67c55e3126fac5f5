/** Durations as people write them: `250ms`, `30s`, `1.5h`, `1h30m`. In the running gateway they are ms. */
import { scalar, shown, type Written, Wrong } from './scalar.ts'

const UNITS: Readonly<Record<string, number>> = {
  ms: 1,
  s: 1000,
  m: 60_000,
  h: 3_600_000,
  d: 86_400_000,
  w: 604_800_000,
}
const PATTERN = /^(?:\d+(?:\.\d+)?(?:ms|s|m|h|d|w))+$/
const HINT = 'write a number and a unit, such as 250ms, 30s, 5m, 1h30m or 7d'

/** @returns ms @throws Wrong */
export function parseDuration(value: unknown): number {
  if (value === 0 || value === '0') return 0
  if (typeof value === 'number') throw new Wrong(`${value} has no unit: write ${value}s, or one of ms, m, h, d, w`)
  if (typeof value !== 'string') throw new Wrong(`expected a duration, got ${shown(value)}: ${HINT}`)
  const compact = value.trim().replace(/(?<=[\d.])\s+(?=[a-z])/, '')
  if (/^\d+(?:\.\d+)?$/.test(compact))
    throw new Wrong(`${compact} has no unit: write ${compact}s, or one of ms, m, h, d, w`)
  if (!PATTERN.test(compact)) throw new Wrong(`${JSON.stringify(value)} is not a duration: ${HINT}`)
  let ms = 0
  for (const [, amount, unit] of compact.matchAll(/(\d+(?:\.\d+)?)(ms|[smhdw])/g)) {
    ms += Number(amount) * (UNITS[unit ?? ''] ?? 0)
  }
  const rounded = Math.round(ms * 1000) / 1000
  if (rounded > Number.MAX_SAFE_INTEGER) throw new Wrong(`${value} is longer than any clock runs`)
  return rounded
}

/** The shortest way to write ms. */
export function formatDuration(ms: number): string {
  if (ms === 0) return '0s'
  for (const unit of ['d', 'h', 'm', 's']) {
    const length = UNITS[unit] ?? 1
    if (ms % length === 0) return `${ms / length}${unit}`
  }
  return `${ms}ms`
}

export interface DurationBounds {
  /** ms */
  readonly min?: number
  /** ms */
  readonly max?: number
}

/** A duration in ms. */
export function duration(bounds: DurationBounds = {}, written: Written = {}) {
  const { min = 0, max = Number.POSITIVE_INFINITY } = bounds
  return scalar(
    (value) => {
      const ms = parseDuration(value)
      if (ms < min) throw new Wrong(`${value} is too short: at least ${formatDuration(min)}`)
      if (ms > max) throw new Wrong(`${value} is too long: at most ${formatDuration(max)}`)
      return ms
    },
    {
      type: ['string', 'number'],
      pattern: '^((\\d+(\\.\\d+)?\\s*(ms|s|m|h|d|w))+|0)$',
      'x-value': 'duration',
      example: '30s',
      ...written,
    },
  )
}
