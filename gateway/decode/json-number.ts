/**
 * JSON numbers read straight from bytes, to the last bit as `Number` reads them.
 *
 * A decimal with a mantissa below 2^53 and a power of ten of at most 22 is one exact double multiplied or divided by
 * another, and IEEE 754 rounds that once (Clinger 1990). Others, and they are rare, go through `Number`.
 */

const POWERS = Float64Array.from({ length: 23 }, (_, i) => Number(`1e${i}`))
const EXACT = 2 ** 53

/**
 * Reads the number at `bytes[start]` into `out[at]` and returns the position after it, or -1 when there is no number
 * by JSON's grammar or not a finite one. A byte that is no part of a number must follow within the buffer.
 */
export function readNumber(bytes: Buffer, start: number, out: Float64Array, at: number): number {
  let i = start
  let c = bytes[i] as number
  const negative = c === 45
  if (negative) c = bytes[++i] as number
  if (c < 48 || c > 57) return -1
  let mantissa = c - 48
  const zero = c === 48
  c = bytes[++i] as number
  if (zero && c >= 48 && c <= 57) return -1
  while (c >= 48 && c <= 57) {
    mantissa = mantissa * 10 + (c - 48)
    c = bytes[++i] as number
  }
  let exponent = 0
  if (c === 46) {
    const point = i
    c = bytes[++i] as number
    while (c >= 48 && c <= 57) {
      mantissa = mantissa * 10 + (c - 48)
      c = bytes[++i] as number
    }
    exponent = point + 1 - i
    if (exponent === 0) return -1
  }
  if (c === 101 || c === 69) return withExponent(bytes, start, i, out, at)
  if (mantissa >= EXACT || exponent < -22) return bySlice(bytes, start, i, out, at)
  const size = exponent === 0 ? mantissa : mantissa / (POWERS[-exponent] as number)
  out[at] = negative ? -size : size
  return i
}

/** `e[+-]12`; such numbers are rare in telemetry. */
function withExponent(bytes: Buffer, start: number, e: number, out: Float64Array, at: number): number {
  let i = e + 1
  let c = bytes[i] as number
  if (c === 43 || c === 45) c = bytes[++i] as number
  if (c < 48 || c > 57) return -1
  while (c >= 48 && c <= 57) c = bytes[++i] as number
  return bySlice(bytes, start, i, out, at)
}

function bySlice(bytes: Buffer, start: number, end: number, out: Float64Array, at: number): number {
  const value = Number(bytes.toString('latin1', start, end))
  if (!Number.isFinite(value)) return -1
  out[at] = value
  return end
}
