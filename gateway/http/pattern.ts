/**
 * Patterns a person types to pick devices: a glob over the device id (`dvc30*`), or an MQTT topic filter over
 * `telemetry/{device}[/{stream}]` (`telemetry/+/temperature`, `telemetry/dvc3001/#`), whatever topic layout the
 * device really uses.
 */

export type DeviceMatch = (device: string, stream: string | undefined) => boolean

export function matcher(pattern: string): DeviceMatch {
  if (!isTopicFilter(pattern)) return globMatcher(pattern)
  const filter = pattern.split('/')
  return (device, stream) => filterMatches(filter, ['telemetry', device, ...(stream?.split('/') ?? [])])
}

function isTopicFilter(pattern: string): boolean {
  return pattern === '#' || pattern.includes('/')
}

/** `*` is any text and `?` any one character; everything else is itself. */
export function globMatcher(pattern: string): (id: string) => boolean {
  return (id) => globMatches(pattern, id)
}

/** Linear in practice and never exponential: on a mismatch only the last star is tried again. */
function globMatches(pattern: string, text: string): boolean {
  let p = 0
  let star = -1
  let mark = 0
  for (let t = 0; t < text.length; ) {
    if (p < pattern.length && pattern[p] === '*') {
      star = p++
      mark = t
    } else if (p < pattern.length && (pattern[p] === '?' || pattern[p] === text[t])) {
      p++
      t++
    } else if (star >= 0) {
      p = star + 1
      t = ++mark
    } else {
      return false
    }
  }
  while (pattern[p] === '*') p++
  return p === pattern.length
}

/** MQTT 3.1.1 section 4.7.1: `+` is one level, `#` the rest, including none. */
function filterMatches(filter: readonly string[], topic: readonly string[]): boolean {
  for (let i = 0; i < filter.length; i++) {
    const level = filter[i]
    if (level === '#') return true
    if (i >= topic.length || (level !== '+' && level !== topic[i])) return false
  }
  return filter.length === topic.length
}
