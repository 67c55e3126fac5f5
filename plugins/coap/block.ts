/**
 * The Block1 and Block2 options (RFC 7959 §2.2): `num << 4 | more << 3 | szx`, in 0–3 bytes; a block has
 * 2^(szx + 4) bytes, szx 7 is reserved.
 */
import type { Option } from './codec.ts'
import { uintOf, uintOption } from './options.ts'

export interface Block {
  readonly num: number
  readonly more: boolean
  /** 0–6 */
  readonly szx: number
}

/** 1,024 bytes: what fits a datagram on any link. */
export const LARGEST_SZX = 6

/** Undefined for the reserved size. */
export function blockOf(value: Uint8Array): Block | undefined {
  const number = uintOf(value)
  const szx = number & 7
  return szx === 7 ? undefined : { num: number >>> 4, more: (number & 8) !== 0, szx }
}

export function blockOption(number: number, block: Block): Option {
  return uintOption(number, block.num * 16 + (block.more ? 8 : 0) + block.szx)
}

/** Bytes. */
export function blockSize(szx: number): number {
  return 1 << (szx + 4)
}

/** The block of a body with that number. Empty beyond its end. */
export function slice(
  body: Uint8Array,
  num: number,
  szx: number,
): { readonly part: Uint8Array; readonly more: boolean } {
  const start = num * blockSize(szx)
  const end = start + blockSize(szx)
  return { part: body.subarray(start, end), more: end < body.length }
}
