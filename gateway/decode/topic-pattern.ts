/**
 * Topic patterns say what the levels of a topic mean.
 *
 *   telemetry/{device}[/{stream}]                     the part in brackets may be absent, brackets stand at the end
 *   iot-2/type/{type}/id/{device}/evt/{event}/fmt/json
 *   plant/+/{device}                                  `+` is any one level that means nothing
 *
 * A pattern matches an exact number of levels, and an empty level matches nothing. `{device}` and `{stream}` are what
 * they say, every other name becomes a tag.
 */
import { StartError } from '../errors.ts'

/** What a topic says. `tags` holds the named levels other than device and stream, in the pattern's order. */
export interface TopicMatch {
  readonly device: string | undefined
  readonly stream: string | undefined
  /** One value per name in the pattern's `tags`; undefined for a name in an absent bracket. */
  readonly tags: readonly (string | undefined)[]
}

export interface TopicPattern {
  readonly text: string
  /** Whether every topic that matches names a device. */
  readonly hasDevice: boolean
  /** Names of the levels that become tags. */
  readonly tags: readonly string[]
  /** Null when the topic is not of this form. */
  match(topic: string): TopicMatch | null
}

interface Level {
  /** Undefined when any text will do. */
  readonly literal: string | undefined
  readonly name: string | undefined
}

/** @throws StartError `SLUICE_TOPIC_PATTERN` when the pattern is malformed */
export function compilePattern(text: string): TopicPattern {
  const { path, counts } = splitOptional(text)
  const levels = path.map((level) => parseLevel(text, level))
  const names = levels.flatMap((level) => (level.name === undefined ? [] : [level.name]))
  const twice = names.find((name, i) => names.indexOf(name) !== i)
  if (twice !== undefined) throw bad(text, `{${twice}} stands twice`)
  const tags = names.filter((name) => name !== 'device' && name !== 'stream')
  const deviceAt = levels.findIndex((level) => level.name === 'device')
  const hasDevice = deviceAt >= 0 && deviceAt < Math.min(...counts)
  return { text, hasDevice, tags, match: (topic) => match(levels, counts, topic) }
}

function match(levels: readonly Level[], counts: readonly number[], topic: string): TopicMatch | null {
  const parts = topic.split('/', levels.length + 1)
  if (!counts.includes(parts.length)) return null
  let device: string | undefined
  let stream: string | undefined
  const tags: (string | undefined)[] = []
  for (const [i, level] of levels.entries()) {
    const part = parts[i]
    if (part === '' || (part !== undefined && level.literal !== undefined && part !== level.literal)) return null
    if (level.name === 'device') device = part
    else if (level.name === 'stream') stream = part
    else if (level.name !== undefined) tags.push(part)
  }
  return { device, stream, tags }
}

/** `a/b[/c[/d]]` → all levels, and the numbers of levels that are allowed: 2, 3, 4. */
function splitOptional(text: string): { path: string[]; counts: number[] } {
  const pieces = text.replace(/\]+$/, '').split('[')
  const closing = text.length - text.replace(/\]+$/, '').length
  if (closing !== pieces.length - 1) throw bad(text, 'an optional part is written [/…] and stands at the end')
  const path: string[] = []
  const counts: number[] = []
  for (const [i, piece] of pieces.entries()) {
    if (i > 0 && !piece.startsWith('/')) throw bad(text, 'an optional part begins with a slash: [/…]')
    path.push(...(i > 0 ? piece.slice(1) : piece).split('/'))
    counts.push(path.length)
  }
  return { path, counts }
}

function parseLevel(pattern: string, level: string): Level {
  if (level === '') throw bad(pattern, 'it has an empty level')
  if (level === '+') return { literal: undefined, name: undefined }
  if (level.includes('#')) throw bad(pattern, '# is not allowed, name each level')
  const name = /^\{([^{}[\]+]+)\}$/.exec(level)?.[1]
  if (name !== undefined) return { literal: undefined, name }
  if (/[{}[\]+]/.test(level)) throw bad(pattern, `level ${level} must be {name}, + or plain text as a whole`)
  return { literal: level, name: undefined }
}

function bad(pattern: string, why: string): StartError {
  return new StartError('SLUICE_TOPIC_PATTERN', `topic pattern ${pattern}: ${why}`)
}
