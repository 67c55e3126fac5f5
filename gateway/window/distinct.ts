/**
 * How many different values there are: exact up to 64, then HyperLogLog with 1,024 registers of a byte (standard error
 * 3.3 %; Flajolet and others, 2007, with linear counting for small numbers).
 */

const EXACT = 64
const BITS = 10
const REGISTERS = 1 << BITS
const ALPHA = 0.7213 / (1 + 1.079 / REGISTERS)

export type DistinctState = { readonly exact: readonly (number | string)[] } | { readonly registers: string }

export class Distinct {
  #exact: Set<number | string> | undefined = new Set()
  #registers: Uint8Array | undefined

  add(value: number | string): void {
    if (this.#registers) {
      note(this.#registers, value)
      return
    }
    const exact = this.#exact as Set<number | string>
    exact.add(value)
    if (exact.size > EXACT) this.#spill(exact)
  }

  merge(other: Distinct): void {
    if (other.#exact) {
      for (const value of other.#exact) this.add(value)
      return
    }
    if (this.#exact) this.#spill(this.#exact)
    const registers = this.#registers as Uint8Array
    const theirs = other.#registers as Uint8Array
    for (let i = 0; i < REGISTERS; i++) {
      if ((theirs[i] as number) > (registers[i] as number)) registers[i] = theirs[i] as number
    }
  }

  count(): number {
    return this.#exact ? this.#exact.size : estimate(this.#registers as Uint8Array)
  }

  bytes(): number {
    return 80 + (this.#exact ? this.#exact.size * 40 : REGISTERS)
  }

  state(): DistinctState {
    if (this.#exact) return { exact: [...this.#exact] }
    return { registers: Buffer.from(this.#registers as Uint8Array).toString('base64') }
  }

  static from(state: DistinctState): Distinct {
    const distinct = new Distinct()
    if ('exact' in state) distinct.#exact = new Set(state.exact)
    else {
      distinct.#exact = undefined
      distinct.#registers = new Uint8Array(Buffer.from(state.registers, 'base64'))
    }
    return distinct
  }

  #spill(exact: Set<number | string>): void {
    const registers = new Uint8Array(REGISTERS)
    for (const value of exact) note(registers, value)
    this.#exact = undefined
    this.#registers = registers
  }
}

function note(registers: Uint8Array, value: number | string): void {
  const hash = typeof value === 'number' ? hashOfNumber(value) : hashOfText(value)
  const register = hash >>> (32 - BITS)
  const rank = Math.clz32((hash << BITS) | (1 << (BITS - 1))) + 1
  if (rank > (registers[register] as number)) registers[register] = rank
}

function estimate(registers: Uint8Array): number {
  let sum = 0
  let empty = 0
  for (const rank of registers) {
    sum += 2 ** -rank
    if (rank === 0) empty++
  }
  const raw = (ALPHA * REGISTERS * REGISTERS) / sum
  return Math.round(raw <= 2.5 * REGISTERS && empty > 0 ? REGISTERS * Math.log(REGISTERS / empty) : raw)
}

/** Both halves of the float's bits, taken apart by arithmetic: a view per call would be garbage. */
function hashOfNumber(value: number): number {
  const exponent = value === 0 ? 0 : Math.floor(Math.log2(Math.abs(value)))
  const mantissa = value === 0 ? 0 : value / 2 ** exponent
  const high = Math.trunc(mantissa * 0x4000_0000)
  const low = Math.trunc((mantissa * 0x4000_0000 - high) * 0x0100_0000)
  return mix(mix(high ^ Math.imul(exponent, 0x9e37_79b1)) ^ low)
}

/** FNV-1a over UTF-16 units, then mixed so that the high bits are good too. */
function hashOfText(value: string): number {
  let hash = 0x811c_9dc5
  for (let i = 0; i < value.length; i++) hash = Math.imul(hash ^ value.charCodeAt(i), 0x0100_0193)
  return mix(hash)
}

/** The finaliser of MurmurHash3 (Austin Appleby, public domain). */
function mix(hash: number): number {
  let h = hash
  h = Math.imul(h ^ (h >>> 16), 0x85eb_ca6b)
  h = Math.imul(h ^ (h >>> 13), 0xc2b2_ae35)
  return (h ^ (h >>> 16)) >>> 0
}
