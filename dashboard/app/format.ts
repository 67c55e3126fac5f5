/** Numbers with units, and times, as a person reads them. */
import { texts } from './texts.ts'

const plain = new Intl.NumberFormat(undefined, { maximumFractionDigits: 0 })
const short = new Intl.NumberFormat(undefined, { notation: 'compact', maximumFractionDigits: 1 })
const hourCycle = 'h23'
const clock = new Intl.DateTimeFormat(undefined, { hour: '2-digit', minute: '2-digit', second: '2-digit', hourCycle })
const minute = new Intl.DateTimeFormat(undefined, { hour: '2-digit', minute: '2-digit', hourCycle })
const day = new Intl.DateTimeFormat(undefined, { month: 'short', day: 'numeric' })
const full = new Intl.DateTimeFormat(undefined, {
  ...{ year: 'numeric', month: 'short', day: 'numeric' },
  ...{ hour: '2-digit', minute: '2-digit', second: '2-digit', hourCycle },
})

export function count(n: number): string {
  return n < 100_000 ? plain.format(n) : short.format(n)
}

/** Per second. */
export function rate(n: number): string {
  return n >= 100 ? count(Math.round(n)) : n.toFixed(n > 0 && n < 10 ? 1 : 0)
}

export function bytes(n: number): string {
  let value = n
  for (const unit of ['B', 'kB', 'MB', 'GB']) {
    if (value < 1000) return `${value < 10 && unit !== 'B' ? value.toFixed(1) : Math.round(value)} ${unit}`
    value /= 1000
  }
  return `${value.toFixed(1)} TB`
}

/** @param ms a span of time */
export function span(ms: number): string {
  const s = ms / 1000
  if (s < 10) return `${Math.max(0, s).toFixed(1)} ${texts.seconds}`
  if (s < 90) return `${Math.round(s)} ${texts.seconds}`
  if (s < 5400) return `${Math.round(s / 60)} ${texts.minutes}`
  if (s < 172_800) return `${Math.round(s / 3600)} ${texts.hours}`
  return `${Math.round(s / 86_400)} ${texts.days}`
}

/** Whole seconds, so that a list does not flicker. */
export function ago(ms: number): string {
  return ms < 2000 ? texts.now : texts.ago(ms < 10_000 ? `${Math.floor(ms / 1000)} ${texts.seconds}` : span(ms))
}

export function time(iso: string): string {
  const at = new Date(iso)
  const today = Math.abs(Date.now() - at.getTime()) < 12 * 3_600_000
  return Number.isNaN(at.getTime()) ? iso : (today ? clock : full).format(at)
}

/** Labels of a time axis. @param at seconds since the epoch @param step seconds between two of them */
export function tick(at: readonly number[], step: number): string[] {
  const form = step < 60 ? clock : step < 86_400 ? minute : day
  return at.map((seconds) => form.format(seconds * 1000))
}

/** What a device said: up to six significant digits, whole numbers as they are. */
export function value(v: unknown): string {
  if (typeof v === 'number') return number(v, 6)
  return typeof v === 'string' ? v : (JSON.stringify(v) ?? '')
}

/** What was computed: four significant digits say enough. */
export function statistic(v: unknown): string {
  return typeof v === 'number' ? number(v, 4) : '–'
}

function number(v: number, digits: number): string {
  if (Number.isInteger(v) && Math.abs(v) < 1e12) return plain.format(v)
  const before = Math.floor(Math.log10(Math.abs(v))) + 1
  if (before > 12 || before < -4) return v.toPrecision(digits)
  return fractions(Math.max(0, digits - Math.max(1, before))).format(v)
}

const forms = new Map<number, Intl.NumberFormat>()

/** Making one costs much more than using it. */
function fractions(most: number): Intl.NumberFormat {
  let form = forms.get(most)
  if (!form) {
    form = new Intl.NumberFormat(undefined, { maximumFractionDigits: most })
    forms.set(most, form)
  }
  return form
}

export function sum(of: Readonly<Record<string, number>>): number {
  return Object.values(of).reduce((total, n) => total + n, 0)
}

/** A text by which names sort as people count: lamp 2 before lamp 10. Five times as fast as a collator. */
export function natural(text: string): string {
  return text.toLowerCase().replace(/\d+/g, (digits) => digits.padStart(12, '0'))
}
