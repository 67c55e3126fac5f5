/**
 * The fast lane: one JSON object read from its bytes into the row, along a learned layout (json-layout.ts), with no
 * string and no object made for it.
 *
 * It never refuses a document. It reads it, or it returns false and the general path decides: for arrays, escapes in
 * keys, keys in twice, values the rule does not take, and all that is no JSON. What it reads it must read exactly as
 * the general path would; test/decode/lanes.test.ts compares the two.
 *
 * The last byte must be `}` or, of an array of objects, `]`. It is no part of a number, key or literal, so scanning stops there at the latest, and
 * only strings have to look where they are.
 */
import { BOOLEAN, NUMBER, type Reading, type Shape, TEXT } from '../reading.ts'
import { epochToMs, readIso } from './event-time.ts'
import type { Found } from './found.ts'
import { createLayouts, type Edge, type End, type Layouts, matches, NULL, type Step } from './json-layout.ts'
import { readNumber } from './json-number.ts'
import { type CompiledRule, DEVICE, FIELD, SKIP, TAG, TIME } from './rule.ts'
import { HASH_START, hashByte, type TextCache } from './text-cache.ts'

const QUOTE = 34
const COMMA = 44
const COLON = 58
const BACKSLASH = 92
const OPEN = 123
const CLOSE = 125

/** Not positions: the array ends here; the general path must decide. */
export const DONE = -2
export const NO_END = -1

export class JsonLane {
  readonly #rule: CompiledRule
  readonly #layouts: Layouts
  readonly #texts: TextCache
  readonly #row: Reading
  readonly #found: Found
  /** [0] the event time, [1] numbers nobody wants. */
  readonly #scratch = new Float64Array(2)
  #step: Step

  constructor(rule: CompiledRule, root: Shape, texts: TextCache, row: Reading, found: Found) {
    this.#rule = rule
    this.#layouts = createLayouts(rule, root)
    this.#texts = texts
    this.#row = row
    this.#found = found
    this.#step = this.#layouts.root
  }

  /** Reads the object in `bytes[start, end)` into row and found. False: the general path must decide. */
  read(bytes: Buffer, start: number, end: number): boolean {
    const last = lastInk(bytes, start, end)
    const i = skipSpace(bytes, start)
    if (bytes[i] !== OPEN || bytes[last] !== CLOSE || i >= last) return false
    return this.#object(bytes, i + 1, last) === last && this.#finish()
  }

  /**
   * Reads the object of an array that begins at `i` into row and found. Returns the position of the next one, DONE
   * after the last one, or NO_END: the general path must decide about the whole array.
   * @param last position of the array's closing bracket
   */
  element(bytes: Buffer, i: number, last: number): number {
    const open = skipSpace(bytes, i)
    if (bytes[open] !== OPEN) return NO_END
    const close = this.#object(bytes, open + 1, last)
    if (close < 0 || !this.#finish()) return NO_END
    const next = skipSpace(bytes, close + 1)
    if (next === last) return DONE
    return bytes[next] === COMMA ? next + 1 : NO_END
  }

  /** Reads members from after the outermost `{`. Returns the position of its `}`, or NO_END. */
  #object(bytes: Buffer, start: number, last: number): number {
    this.#step = this.#layouts.root
    let i = start
    let fresh = true
    for (;;) {
      let c = bytes[i] as number
      if (c <= 32) {
        i = skipSpace(bytes, i)
        c = bytes[i] as number
      }
      if (c === QUOTE) {
        const { frame } = this.#step
        i = this.#member(bytes, i, last)
        if (i < 0) return NO_END
        fresh = this.#step.frame !== frame
        if (fresh) continue
      } else if (c !== CLOSE || !fresh) return NO_END
      i = this.#closed(bytes, i, last)
      if (i < 0) return NO_END
      if (bytes[i] === CLOSE) return i
      i++
      fresh = false
    }
  }

  /** Goes over what closes inner objects. Returns the position of the comma or of the outermost `}`, or NO_END. */
  #closed(bytes: Buffer, start: number, last: number): number {
    let i = start
    for (;;) {
      let c = bytes[i] as number
      if (c <= 32) {
        i = skipSpace(bytes, i)
        c = bytes[i] as number
      }
      if (c === COMMA) return i
      if (c !== CLOSE) return NO_END
      const step = this.#step
      if (!step.nested) return i
      const up = step.up === undefined ? this.#layouts.close(step) : step.up
      if (up === null || i >= last) return NO_END
      this.#step = up
      i++
    }
  }

  /** Reads a key and its value; of an object only the brace. Returns the position after it. */
  #member(bytes: Buffer, start: number, last: number): number {
    const step = this.#step
    let edge = step.hot
    if (edge === undefined || !matches(edge.key, bytes, start, last)) {
      const found = this.#layouts.edge(step, bytes, start, last)
      if (found === null) return NO_END
      edge = found
      step.hot = edge
    }
    let i = start + edge.key.length
    if (bytes[i] !== COLON) {
      i = skipSpace(bytes, i)
      if (bytes[i] !== COLON) return NO_END
    }
    let c = bytes[++i] as number
    if (c <= 32) {
      i = skipSpace(bytes, i)
      c = bytes[i] as number
    }
    if (i >= last) return NO_END
    if (c === QUOTE) return this.#text(edge, bytes, i + 1, last)
    if (c === 45 || (c >= 48 && c <= 57)) return this.#number(edge, bytes, i)
    if (c === OPEN) {
      return this.#go(edge.onObject === undefined ? this.#layouts.open(step, edge) : edge.onObject, i + 1)
    }
    return this.#word(edge, bytes, i, c)
  }

  #go(next: Step | null, i: number): number {
    if (next === null) return NO_END
    this.#step = next
    return i
  }

  #number(edge: Edge, bytes: Buffer, start: number): number {
    const next = edge.onNumber === undefined ? this.#layouts.value(this.#step, edge, NUMBER) : edge.onNumber
    if (next === null) return NO_END
    this.#step = next
    if (edge.role === FIELD) {
      const { numbers } = this.#row
      const i = readNumber(bytes, start, numbers, edge.at)
      return i < 0 || !inRange(edge, numbers) ? NO_END : i
    }
    // Numbers nobody wants may be beyond all bounds in the general path: it says so, this lane does not know.
    if (edge.role === SKIP) return readNumber(bytes, start, this.#scratch, 1)
    const i = readNumber(bytes, start, this.#scratch, 0)
    if (i < 0) return NO_END
    const time = epochToMs(this.#scratch[0] as number, this.#rule.timeUnit)
    this.#scratch[0] = time
    return Number.isNaN(time) ? NO_END : i
  }

  /** The string whose content begins at `start`. */
  #text(edge: Edge, bytes: Buffer, start: number, last: number): number {
    const next = edge.onText === undefined ? this.#layouts.value(this.#step, edge, TEXT) : edge.onText
    if (next === null) return NO_END
    this.#step = next
    if (edge.role === TIME) return this.#time(bytes, start, last)
    if (edge.kind === NUMBER) return this.#numericText(edge, bytes, start)
    if (edge.role === SKIP) {
      const end = plainEnd(bytes, start, last)
      if (end >= 0) return end + 1
    }
    let hash = HASH_START
    let bits = 0
    let escaped = false
    let i = start
    for (let c = bytes[i] as number; c !== QUOTE; c = bytes[i] as number) {
      if (c === BACKSLASH) {
        escaped = true
        hash = hashByte(hash, c)
        c = bytes[++i] as number
      }
      if (c < 32) return NO_END
      bits |= c
      hash = hashByte(hash, c)
      if (++i >= last) return NO_END
    }
    const text = this.#texts.get(bytes, start, i, hash, escaped, bits > 127)
    if (text === null) return NO_END
    if (edge.role === FIELD) this.#row.texts[edge.at] = text
    else if (edge.role === TAG) this.#found.tagValues[edge.tag] = text
    else if (edge.role === DEVICE) this.#found.device = text
    return i + 1
  }

  /** `"cpuusage":"87"` where a number is declared. */
  #numericText(edge: Edge, bytes: Buffer, start: number): number {
    const { numbers } = this.#row
    const i = readNumber(bytes, start, numbers, edge.at)
    return i < 0 || bytes[i] !== QUOTE || !inRange(edge, numbers) ? NO_END : i + 1
  }

  #time(bytes: Buffer, start: number, last: number): number {
    const unit = this.#rule.timeUnit
    if (unit !== 'auto' && unit !== 'iso') return NO_END
    let i = start
    while (i < last && bytes[i] !== QUOTE) i++
    return i < last && readIso(bytes, start, i, this.#scratch, 0) ? i + 1 : NO_END
  }

  /** true, false, null. */
  #word(edge: Edge, bytes: Buffer, i: number, c: number): number {
    if (c === 110 && bytes[i + 1] === 117 && bytes[i + 2] === 108 && bytes[i + 3] === 108) {
      return this.#go(edge.onNull === undefined ? this.#layouts.value(this.#step, edge, NULL) : edge.onNull, i + 4)
    }
    const yes = c === 116 && bytes[i + 1] === 114 && bytes[i + 2] === 117 && bytes[i + 3] === 101
    if (!yes && !isFalse(bytes, i)) return NO_END
    const next = edge.onBoolean === undefined ? this.#layouts.value(this.#step, edge, BOOLEAN) : edge.onBoolean
    if (edge.role === FIELD) this.#row.numbers[edge.at] = yes ? 1 : 0
    return this.#go(next, yes ? i + 4 : i + 5)
  }

  #finish(): boolean {
    const step = this.#step
    const end: End | null = step.end === undefined ? this.#layouts.end(step) : step.end
    if (end === null) return false
    const found = this.#found
    found.shape = end.shape
    found.time = end.timed ? (this.#scratch[0] as number) : Number.NaN
    if (!end.named) found.device = undefined
    found.tagIndexes = end.tagIndexes
    found.lookupAt = end.lookupAt
    return true
  }
}

/** Where a string of plain ASCII ends; NO_END when it is anything else. */
function plainEnd(bytes: Buffer, start: number, last: number): number {
  let i = start
  for (let c = bytes[i] as number; c !== QUOTE; c = bytes[i] as number) {
    if (c < 32 || c > 127 || c === BACKSLASH || ++i >= last) return NO_END
  }
  return i
}

function inRange(edge: Edge, numbers: Float64Array): boolean {
  const value = numbers[edge.at] as number
  return value >= edge.min && value <= edge.max && (!edge.integer || Number.isInteger(value))
}

function isFalse(bytes: Buffer, i: number): boolean {
  return bytes[i] === 102 && bytes[i + 1] === 97 && bytes[i + 2] === 108 && bytes[i + 3] === 115 && bytes[i + 4] === 101
}

function isSpace(c: number): boolean {
  return c === 32 || c === 10 || c === 13 || c === 9
}

/** Position of the last byte that is no white space. */
export function lastInk(bytes: Buffer, start: number, end: number): number {
  let last = end - 1
  while (last > start && isSpace(bytes[last] as number)) last--
  return last
}

export function skipSpace(bytes: Buffer, start: number): number {
  let i = start
  while (isSpace(bytes[i] as number)) i++
  return i
}
