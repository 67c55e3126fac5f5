import type { Distinct } from './distinct.ts'
import type { QuantileSketch } from './quantile-sketch.ts'
import type { TextCounts } from './text-counts.ts'

/** Per text field its counts, per numeric field its sketch; readings per source id when there are several. */
export interface Extra {
  texts: readonly TextCounts[]
  readonly textDistinct: Distinct[]
  readonly sketches: QuantileSketch[]
  readonly distinct: Distinct[]
  sources: number[] | undefined
}

export function emptyExtra(): Extra {
  return { texts: [], textDistinct: [], sketches: [], distinct: [], sources: undefined }
}

/** An estimate. */
export function bytesOf(extra: Extra): number {
  let bytes = 200
  for (const kind of [extra.texts, extra.textDistinct, extra.sketches, extra.distinct]) {
    for (const part of kind) bytes += part.bytes() + 8
  }
  return bytes
}
