/** Numbers as a person reads them. */

/** `1.5 MB`; decimal units, as disks and data plans count. */
export function bytes(count: number): string {
  return scaled(count, 1000, ['B', 'kB', 'MB', 'GB', 'TB'])
}

function scaled(count: number, step: number, units: readonly string[]): string {
  let value = count
  let unit = 0
  while (Math.abs(value) >= step && unit < units.length - 1) {
    value /= step
    unit++
  }
  return `${unit === 0 ? value : value.toFixed(value < 10 ? 1 : 0)} ${units[unit]}`
}

/** `1 234 567`, with thin groups that survive a pipe. */
export function count(value: number): string {
  return Math.round(value)
    .toString()
    .replace(/\B(?=(\d{3})+$)/g, ' ')
}

/** Per second: whole from ten on, one decimal below. */
export function rate(value: number): string {
  return value < 10 ? String(Math.round(value * 10) / 10) : count(value)
}

/** @param ms `250 ms`, `1.5 s`, `12 m 05 s`, `3 h 20 m`, `5 d 3 h` */
export function duration(ms: number): string {
  if (ms < 1000) return `${Math.round(ms)} ms`
  const seconds = ms / 1000
  if (seconds < 60) return `${Math.round(seconds * 10) / 10} s`
  const whole = Math.floor(seconds)
  if (whole < 3600) return `${Math.floor(whole / 60)} m ${two(whole % 60)} s`
  if (whole < 86_400) return `${Math.floor(whole / 3600)} h ${two(Math.floor(whole / 60) % 60)} m`
  return `${Math.floor(whole / 86_400)} d ${Math.floor(whole / 3600) % 24} h`
}

function two(value: number): string {
  return String(value).padStart(2, '0')
}

/** At most six significant digits; nobody reads more. */
export function figure(value: number): string {
  return Number.isInteger(value) ? String(value) : String(Number(value.toPrecision(6)))
}

/** @param iso `12:34:56.789` of an ISO time; the day is clear from the context */
export function clockTime(iso: string): string {
  return iso.slice(11, 23)
}
