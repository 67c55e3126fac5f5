import type { Target } from './targets.mjs'

export interface NodeBinary {
  readonly file: string
  /** As in `process.version`. */
  readonly version: string
  /** File with Node's licence. */
  readonly license: string
  readonly from: string
}

/** @throws Error when a checksum or the architecture is not as expected */
export function nodeBinary(target: Target, given?: string): NodeBinary
export function knownFlaw(version: string): string | undefined
export function digestOf(file: string): string
