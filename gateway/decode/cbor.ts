/**
 * CBOR (RFC 8949) by cborg, whose decoder calls itself for every level and takes no tags. Both are settled one layer
 * below, where it asks for tokens: nesting is counted there, and tags are read over (a tagged time is a number or a
 * text anyway, and a time field says so itself).
 */
import { isUtf8 } from 'node:buffer'
import { decode, Tokenizer, Type } from 'cborg'
import { DecodeError, reasonOf } from '../errors.ts'
import { MAX_DEPTH } from './json.ts'

type Token = ReturnType<Tokenizer['next']>

const OPTIONS = { useMaps: true, allowBigInt: true } as const

/** Maps come as `Map`, byte strings as `Uint8Array`. @throws DecodeError `cbor`, `depth`, `utf8` */
export function parseCbor(bytes: Buffer): unknown {
  // cborg slices its input; a plain Uint8Array keeps the slices plain too.
  const plain = new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.length)
  try {
    return decode(plain, { ...OPTIONS, tokenizer: boundedTokens(plain, new Tokenizer(plain, OPTIONS)) })
  } catch (error) {
    if (error instanceof DecodeError) throw error
    throw new DecodeError('cbor', `not CBOR: ${reasonOf(error)}`, { cause: error })
  }
}

function boundedTokens(bytes: Uint8Array, tokens: Tokenizer): Pick<Tokenizer, 'done' | 'next' | 'pos'> {
  /** How many items each open array or map still needs; Infinity until its break. */
  const open: number[] = []

  function next(): Token {
    let token = tokens.next()
    while (Type.equals(token.type, Type.tag)) token = tokens.next()
    if (Type.equals(token.type, Type.break)) open.pop()
    else {
      const top = open.length - 1
      if (top >= 0) open[top] = (open[top] as number) - 1
      if (Type.equals(token.type, Type.array)) open.push(token.value)
      else if (Type.equals(token.type, Type.map)) open.push(token.value * 2)
      else if (Type.equals(token.type, Type.string)) checkText(bytes, tokens.pos(), token)
    }
    if (open.length > MAX_DEPTH) throw new DecodeError('depth', `it is nested deeper than ${MAX_DEPTH}`)
    while (open.at(-1) === 0) open.pop()
    return token
  }

  return { next, done: () => tokens.done(), pos: () => tokens.pos() }
}

/** Only a text with the replacement character can have been invalid; its bytes end at `end`. */
function checkText(bytes: Uint8Array, end: number, token: Token): void {
  if (!String(token.value).includes('\ufffd')) return
  const start = end - (token.encodedLength ?? 0)
  const size = (bytes[start] as number) & 31
  const head = size < 24 ? 1 : 1 + 2 ** (size - 24)
  if (!isUtf8(bytes.subarray(start + head, end))) throw new DecodeError('utf8', 'a text is not valid UTF-8')
}
