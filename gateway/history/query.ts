/** Answers: one field over a stretch of time, thinned to as many points as fit, least and greatest kept. */
import { BOOLEAN, TEXT } from '../reading.ts'
import type { BlockSeries, Row, Wants } from './block-reader.ts'
import type { Level } from './level.ts'

export interface Question {
  /** Beginning of a series' id: the owner, or owner and stream. */
  readonly id: string
  readonly field: string
  /** ms since the epoch; `to` is not included. */
  readonly from: number
  readonly to: number
  readonly points: number
}

/** One bucket of the answer. */
export interface Point {
  /** Its beginning, ms since the epoch. */
  readonly time: number
  count: number
  min: number
  max: number
  sum: number
  /** The first text in it, and when that was: the beginning of its row. */
  text: string
  textAt: number
}

export interface Answer {
  readonly kind: 'number' | 'boolean' | 'text'
  /** Name of the finest level that was used. */
  readonly resolution: string
  /** Length of a point, ms; points from before the finest level's time are longer. */
  readonly step: number
  readonly points: readonly Point[]
}

/** Part of the question that one level answers. */
interface Part {
  readonly level: number
  readonly from: number
  readonly to: number
  readonly step: number
}

export async function answer(levels: readonly Level[], question: Question): Promise<Answer> {
  const parts = partsOf(levels, question)
  const sums = parts.map((part) => createSums(question.field, part))
  const wants = wantsOf(question)
  // Memory first, of all parts at once: what moves to the disk meanwhile is not seen twice.
  const reads = parts.map((part, i) => snapshot(levels, part, wants, sums[i] as Sums))
  for (const read of reads) await read()
  const finest = parts[0] as Part
  const kind = kindOf(sums)
  const points = sums.flatMap((one) => [...(kind === 'text' ? one.texts : one.numbers).values()])
  return {
    kind,
    resolution: (levels[finest.level] as Level).name,
    step: finest.step,
    points: points.sort((a, b) => a.time - b.time),
  }
}

/** The coarsest level that is fine enough; before the time that its budget reaches back to, the next coarser one. */
function partsOf(levels: readonly Level[], { from, to, points }: Question): Part[] {
  const wanted = (to - from) / points
  let level = levels.findLastIndex(({ step }) => step <= wanted)
  if (level < 0) level = 0
  const parts: Part[] = []
  let end = to
  for (; level < levels.length && from < end; level++) {
    const { step, since } = levels[level] as Level
    const above = levels[level + 1]
    const begins = above && since !== undefined ? Math.ceil(since / above.step) * above.step : from
    const start = Math.min(end, Math.max(from, begins))
    if (start < end || !above)
      parts.push({ level, from: start, to: end, step: Math.max(1, Math.ceil(wanted / step)) * step })
    end = start
  }
  return parts.length > 0 ? parts : [{ level: 0, from, to, step: (levels[0] as Level).step }]
}

/** Visits what memory holds for the part, and returns what is still to be read from the disk. */
function snapshot(levels: readonly Level[], { level, from, to }: Part, wants: Wants, sums: Sums): () => Promise<void> {
  const reads: (() => Promise<void>)[] = []
  let after = 0
  for (let i = level; i >= 0; i--) {
    const { step, consumed } = levels[i] as Level
    const read = (levels[i] as Level).snapshot(wants, (row) => sums.add(row, step), after + 1)
    reads.push(() => read(Math.floor(from / step), Math.floor((to - 1) / step)))
    // Of the finer level below only what has not come up yet.
    after = consumed
  }
  return async () => {
    for (const read of reads) await read()
  }
}

function wantsOf({ id }: Question): Wants {
  return (series) => series.id.startsWith(id)
}

interface Sums {
  readonly numbers: Map<number, Point>
  readonly texts: Map<number, Point>
  boolean: boolean
  add(row: Row, step: number): void
}

function createSums(field: string, { from, to, step }: Part): Sums {
  const places = new Map<BlockSeries['fields'], number>()
  const sums: Sums = {
    numbers: new Map(),
    texts: new Map(),
    boolean: true,
    add({ series, bucket, count, values, texts }, rowStep) {
      const at = bucket * rowStep
      if (at + rowStep <= from || at >= to) return
      let place = places.get(series.fields)
      if (place === undefined) {
        place = series.fields.names.indexOf(field)
        places.set(series.fields, place)
      }
      if (place < 0) return
      const kind = series.fields.kinds[place]
      const time = Math.floor(at / step) * step
      if (kind === TEXT) {
        const point = pointAt(sums.texts, time)
        point.count += count
        if (at >= point.textAt) return
        point.text = texts[place] as string
        point.textAt = at
        return
      }
      if (kind !== BOOLEAN) sums.boolean = false
      const point = pointAt(sums.numbers, time)
      point.count += count
      point.min = Math.min(point.min, values[3 * place] as number)
      point.max = Math.max(point.max, values[3 * place + 1] as number)
      point.sum += values[3 * place + 2] as number
    },
  }
  return sums
}

function pointAt(points: Map<number, Point>, time: number): Point {
  let point = points.get(time)
  if (!point) {
    point = { time, count: 0, min: Infinity, max: -Infinity, sum: 0, text: '', textAt: Infinity }
    points.set(time, point)
  }
  return point
}

/** A field that was text and became a number is shown as what it has more points of. */
function kindOf(sums: readonly Sums[]): Answer['kind'] {
  const size = (pick: (one: Sums) => Map<number, Point>) => sums.reduce((sum, one) => sum + pick(one).size, 0)
  const numbers = size((one) => one.numbers)
  if (size((one) => one.texts) > numbers) return 'text'
  return numbers > 0 && sums.every((one) => one.boolean) ? 'boolean' : 'number'
}
