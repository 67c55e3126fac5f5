/**
 * The file of pre-shared keys:
 *
 *     # a comment
 *     sensor-7:00112233445566778899aabbccddeeff
 *     fleet:a1b2c3d4e5f60718293a4b5c6d7e8f90 publish=truck-*,depot command=truck-*
 *
 * The key is hexadecimal, after the last colon, so that an identity may hold colons (`urn:imei:123`) and spaces. What the
 * words after it mean is not this module's business.
 */

export interface PskEntry {
  readonly identity: string
  readonly key: Buffer
  /** Lists by name, e.g. `publish`. */
  readonly rights: ReadonlyMap<string, readonly string[]>
}

/** Bytes of the shortest key worth the name. */
const MIN_KEY = 4
const MAX_KEY = 64

/** Entries by identity, and the numbers of lines that are none; those hold secrets and are not quoted. */
export interface PskFile {
  readonly entries: ReadonlyMap<string, PskEntry>
  readonly badLines: readonly number[]
}

export function parsePskFile(text: string): PskFile {
  const entries = new Map<string, PskEntry>()
  const badLines: number[] = []
  for (const [i, line] of text.split(/\r?\n/).entries()) {
    const trimmed = line.trim()
    if (trimmed === '' || trimmed.startsWith('#')) continue
    const entry = parseLine(trimmed)
    if (entry && !entries.has(entry.identity)) entries.set(entry.identity, entry)
    else badLines.push(i + 1)
  }
  return { entries, badLines }
}

function parseLine(line: string): PskEntry | undefined {
  const words = line.split(/\s+/)
  const rights = new Map<string, readonly string[]>()
  for (let word = words.at(-1); word && /^[a-z]+=/.test(word) && words.length > 1; word = words.at(-1)) {
    const equals = word.indexOf('=')
    rights.set(
      word.slice(0, equals),
      word
        .slice(equals + 1)
        .split(',')
        .filter((item) => item !== ''),
    )
    words.pop()
  }
  const found = /^(.+):((?:[0-9a-fA-F]{2})+)$/.exec(words.join(' '))
  if (!found) return undefined
  const key = Buffer.from(found[2] as string, 'hex')
  if (key.length < MIN_KEY || key.length > MAX_KEY) return undefined
  return { identity: found[1] as string, key, rights }
}

/** Whether an identity has the same key in both. */
export function sameKey(a: PskEntry | undefined, b: PskEntry | undefined): boolean {
  return a !== undefined && b !== undefined && a.key.equals(b.key)
}
