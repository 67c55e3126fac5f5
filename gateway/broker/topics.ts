/** Topic names and filters of MQTT 3.1.1, section 4.7. */

/** Deeper topics are refused: matching walks one level at a time. */
export const MAX_LEVELS = 100

const SLASH = 47
const PLUS = 43
const HASH = 35

/** Text of `bytes[start, end)`, or null when it is not well-formed UTF-8 or has a NUL (MQTT-1.5.3-1, -2). */
export function textOf(bytes: Uint8Array, start: number, end: number): string | null {
  let ascii = true
  for (let i = start; i < end; i++) {
    const byte = bytes[i] as number
    if (byte === 0) return null
    if (byte > 127) ascii = false
  }
  const view = Buffer.from(bytes.buffer, bytes.byteOffset + start, end - start)
  if (ascii) return view.toString('latin1')
  const text = view.toString('utf8')
  // Ill-formed bytes become U+FFFD; only text that had them from the start encodes back to the same bytes.
  return text.includes('\uFFFD') && !Buffer.from(text).equals(view) ? null : text
}

function levelCount(topic: string): number {
  let levels = 1
  for (let i = 0; i < topic.length; i++) if (topic.charCodeAt(i) === SLASH) levels++
  return levels
}

/** A name that can be published to: not empty, no wildcards, not too deep (MQTT-4.7.3-1, MQTT-3.3.2-2). */
export function isTopicName(topic: string): boolean {
  if (topic.length === 0) return false
  for (let i = 0; i < topic.length; i++) {
    const code = topic.charCodeAt(i)
    if (code === PLUS || code === HASH || code === 0) return false
  }
  return levelCount(topic) <= MAX_LEVELS
}

/** A filter that can be subscribed to: wildcards alone in their level, `#` last (MQTT-4.7.1-2, -3). */
export function isTopicFilter(filter: string): boolean {
  if (filter.length === 0 || filter.includes('\0')) return false
  const levels = filter.split('/')
  if (levels.length > MAX_LEVELS) return false
  return levels.every((level, i) => {
    if (level === '#') return i === levels.length - 1
    return level === '+' || !(level.includes('+') || level.includes('#'))
  })
}

/**
 * Whether everything `filter` can match is matched by `pattern` too. With a topic name as `filter` this is plain
 * matching. A wildcard in the first level of the pattern does not reach topics that begin with `$` (MQTT-4.7.2-1).
 */
export function covers(pattern: readonly string[], filter: readonly string[]): boolean {
  const first = pattern[0]
  if ((first === '+' || first === '#') && filter[0]?.startsWith('$')) return false
  for (let i = 0; i < pattern.length; i++) {
    const level = pattern[i]
    // `a/#` also matches `a` (MQTT 4.7.1.2).
    if (level === '#') return true
    const asked = filter[i]
    // Nothing but `#` covers a `#`.
    if (asked === undefined || asked === '#') return false
    if (level !== '+' && level !== asked) return false
  }
  return filter.length === pattern.length
}

/** Whether a topic name matches a filter. */
export function matches(filter: string, topic: string): boolean {
  return covers(filter.split('/'), topic.split('/'))
}
