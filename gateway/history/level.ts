/**
 * One level of the history: what is open in memory, what waits for the disk, and a log of blocks.
 *
 *   journal ─▶ 1 m ─log─▶ 1 h ─log─▶ 1 d
 *
 * Each level is worked out from the log below it, and each frame of its log says (as `mark`) up to which record of the
 * one below it reaches; the first level's up to which entry of the journal. A level that lost its memory reads again
 * from there: nothing is counted twice and nothing is left out, whenever the power goes.
 *
 * A block of very many series is written out and merged a slice at a time, and others get their turn in between. An
 * answer may come in the middle of that: what is in the memory of a level and what is not yet is told apart by row.
 */
import { setImmediate as turn } from 'node:timers/promises'
import type { Log } from '../log/log.ts'
import { readBlock, spanOf, type Visit, type Wants } from './block-reader.ts'
import { Merger } from './merger.ts'
import { type Cut, Rollup } from './rollup.ts'

export interface LevelParts {
  /** As people see it: `1m`, `1h`, `1d`. */
  readonly name: string
  /** Length of a bucket, ms. */
  readonly step: number
  readonly log: Log
  /** A block is written when it has as many bytes. */
  readonly blockBytes: number
  /** Most that its log may take, bytes. */
  readonly maxBytes: number
  /** Fields that are written out or merged before others get their turn. Default: what takes about a millisecond. */
  readonly slice?: number | undefined
}

/** A block that is not on disk yet. */
interface Waiting extends Cut {
  /** In the log; 0 until it has room for it. */
  number: number
}

/** How many full blocks of the log below are read before an upper level writes what it made of them. */
const BLOCKS_BEFORE_CUT = 8
/** Most that may wait for a disk, bytes: beyond it the oldest block is given up. */
const MAX_WAITING = 16 << 20
/** See `LevelParts.slice`. */
const SLICE = 2000
/** Blocks between two that are wanted, up to which reading on is cheaper than seeking. */
const NEAR = 4

export class Level {
  readonly name: string
  readonly step: number
  readonly log: Log
  readonly rollup: Rollup
  /** Highest record of the log below that is in here, or of which the rest waits in memory to be merged. */
  consumed: number
  /** Blocks given up: the disk did not take them, or they were none. */
  lost = 0
  readonly #maxBytes: number
  readonly #blockBytes: number
  readonly #slice: number
  readonly #merger: Merger
  #waiting: Waiting[] = []
  /** What reaches further waits in memory. */
  #limit = 0
  /** Ends when nothing is left to be written out. */
  #writingOut: Promise<void> | undefined
  /** First and last bucket of each block that was seen, by number. */
  readonly #spans = new Map<number, { readonly first: number; readonly last: number }>()
  #learning: Promise<void> | undefined

  constructor({ name, step, log, blockBytes, maxBytes, slice = SLICE }: LevelParts) {
    this.name = name
    this.step = step
    this.log = log
    this.rollup = new Rollup(step, blockBytes)
    this.#blockBytes = blockBytes
    this.#slice = slice
    this.#merger = new Merger(this.rollup)
    this.consumed = log.marked
    this.#maxBytes = maxBytes
    log.onRoom(() => this.write(this.#limit))
    log.onDurable((durable) => {
      this.#waiting = this.#waiting.filter(({ number }) => number === 0 || number > durable)
    })
  }

  /** Ends the block, which reaches to `mark`: it is written out by and by. */
  cut(mark: number): void {
    while (this.rollup.closing) this.#advance(Infinity)
    this.rollup.cut(mark)
    this.#merger.forget()
    if (this.rollup.closing) this.#writingOut ??= this.#writeOut()
  }

  async #writeOut(): Promise<void> {
    do await turn()
    while (this.#advance(this.#slice))
    this.#writingOut = undefined
  }

  /** True when more is left to be written out. */
  #advance(fields: number): boolean {
    const cut = this.rollup.writeOut(fields)
    if (cut) this.#keep(cut)
    return this.rollup.closing
  }

  #keep(cut: Cut): void {
    this.#waiting.push({ ...cut, number: 0 })
    let bytes = this.#waiting.reduce((sum, one) => sum + one.block.length, 0)
    while (bytes > MAX_WAITING && this.#waiting.length > 1) {
      bytes -= this.#waiting.shift()?.block.length ?? 0
      this.lost++
    }
    this.write(this.#limit)
  }

  /** Hands to the log what reaches at most to `limit`, now and when more of that is written out. */
  write(limit: number): void {
    this.#limit = limit
    for (const waiting of this.#waiting) {
      if (waiting.number > 0) continue
      if (waiting.mark > limit) return
      const number = this.log.append(waiting.block)
      if (number < 0) return
      waiting.number = number
      this.log.mark(waiting.mark)
      const span = spanOf(waiting.block)
      if (span) this.#spans.set(number, span)
    }
  }

  /** Resolves with whether all that was cut and reaches at most to `limit` is on disk; more may be cut meanwhile. */
  async flush(limit: number): Promise<boolean> {
    await this.#writingOut
    this.write(limit)
    if (this.#waiting.length > 0) await this.log.flush()
    return this.#waiting.every(({ mark, number }) => mark > limit || (number > 0 && number <= this.log.durable))
  }

  /** Works through the log below, now and as it grows, until aborted. */
  async follow(below: Level, signal: AbortSignal): Promise<void> {
    this.#limit = Infinity
    let read = 0
    for await (const { first, count, body, bounds } of below.log.read(this.consumed + 1, { follow: signal })) {
      for (let i = 0; i < count; i++) {
        if (signal.aborted) return
        const block = body.subarray(bounds[2 * i], bounds[2 * i + 1])
        await this.#merge(block, first + i, below.step)
        read += block.length
        if (!this.rollup.full && read < BLOCKS_BEFORE_CUT * this.#blockBytes) continue
        read = 0
        this.cut(this.consumed)
        await this.#writingOut
      }
    }
  }

  async #merge(block: Buffer, number: number, step: number): Promise<void> {
    // From here on this level answers for all of the block: what is not merged yet is in the merger's hands.
    this.consumed = number
    this.#merger.begin(block, step)
    try {
      while (this.#merger.some(this.#slice)) await turn()
    } catch (error) {
      // Its frame is sound and it is no block: whatever wrote it, the gateway does not end for a chart.
      if (!(error instanceof RangeError || error instanceof TypeError)) throw error
      this.#merger.giveUp()
      this.lost++
    }
  }

  /** Deletes the oldest beyond the budget, as far as the level above has read it. @param halve there is no room on the disk */
  async trim(above: Level | undefined, halve: boolean): Promise<void> {
    const keepFrom = above === undefined ? this.log.next : above.log.marked + 1
    const maxBytes = halve ? Math.min(this.#maxBytes, this.log.bytes / 2) : this.#maxBytes
    await this.log.retain({ maxBytes, keepFrom })
    for (const number of this.#spans.keys()) {
      if (number >= this.log.first) break
      this.#spans.delete(number)
    }
  }

  /** Since when it is complete, ms since the epoch; undefined when nothing was deleted so far. */
  get since(): number | undefined {
    return this.log.first > 1 ? this.log.oldestTime : undefined
  }

  /**
   * What it holds now, to be read at leisure: memory at once, then the disk. Rows that come later are not in it.
   *
   * @param from first record of its log; `spanOf` decides which of the later ones are looked at
   */
  snapshot(wants: Wants, visit: Visit, from = 1): (firstBucket: number, lastBucket: number) => Promise<void> {
    const { durable } = this.log
    for (const { block, number } of this.#waiting) if (number === 0 || number > durable) readBlock(block, wants, visit)
    this.rollup.read(wants, visit)
    this.#merger.rest(wants, visit)
    return async (firstBucket, lastBucket) => {
      if (from > durable) return
      await this.#learn()
      for (const [start, end] of this.#stretches(from, durable, firstBucket, lastBucket))
        await this.#read(start, end, (block) => readBlock(block, wants, visit))
    }
  }

  /** Numbers of blocks that overlap, as stretches with both ends. */
  #stretches(from: number, to: number, firstBucket: number, lastBucket: number): [number, number][] {
    const stretches: [number, number][] = []
    for (const [number, { first, last }] of this.#spans) {
      if (number < from || number > to || last < firstBucket || first > lastBucket) continue
      const before = stretches.at(-1)
      if (before && number - before[1] <= NEAR) before[1] = number
      else stretches.push([number, number])
    }
    return stretches
  }

  /** Learns the spans of all blocks: once after a start; what is written later is known. */
  async #learn(): Promise<void> {
    this.#learning ??= this.#read(1, this.log.durable, (block, number) => {
      const span = spanOf(block)
      if (span) this.#spans.set(number, span)
    }).then(() => {
      const inOrder = [...this.#spans].sort(([a], [b]) => a - b)
      this.#spans.clear()
      for (const [number, span] of inOrder) this.#spans.set(number, span)
    })
    await this.#learning.catch((error) => {
      this.#learning = undefined
      throw error
    })
  }

  async #read(start: number, end: number, visit: (block: Buffer, number: number) => void): Promise<void> {
    for await (const { first, count, body, bounds } of this.log.read(start)) {
      for (let i = 0; i < count && first + i <= end; i++)
        visit(body.subarray(bounds[2 * i], bounds[2 * i + 1]), first + i)
      if (first + count > end) return
    }
  }
}
