/**
 * Feels the stages' pulse once a second: how fast they move over the last ten seconds, and which of them has work but
 * has not moved for half a minute. A gateway that merely answers is alive; one whose stages move is healthy.
 */
import type { Clock } from '../clock.ts'
import { quantile } from './latency.ts'
import type { Numbers, StageNumbers } from './metrics.ts'
import type { StageStatus } from './schemas.ts'

export interface Pulse {
  /** The stages with their rates, up to a second old unless they must be fresh. */
  stages(fresh?: boolean): StageStatus[]
  /** Which stage is stuck and since when, or undefined. */
  stuck(): string | undefined
  stop(): void
}

interface Beat {
  /** Monotonic ms. */
  readonly at: number
  readonly in: number
  readonly out: number
}

interface Watched {
  beats: Beat[]
  /** `out` and errors when it last moved, and when that was, monotonic ms. */
  done: number
  movedAt: number
  queue: number
}

const EVERY = 1000
/** Numbers up to this age are good enough for people, ms. */
const FRESH = EVERY
const BEATS = 11

/** @param patience ms without progress, with work waiting, after which a stage is stuck */
export function createPulse(clock: Clock, numbers: () => Numbers, patience = 30_000): Pulse {
  const watched = new Map<string, Watched>()
  let stages: readonly StageNumbers[] = []
  let takenAt = 0
  const take = () => {
    stages = numbers().stages
    takenAt = clock.monotonic()
    return stages
  }
  const beat = () => {
    for (const stage of take()) feel(watched, stage, takenAt)
  }
  // Several readers in one second are told the same: counting takes as long as thousands of readings.
  const recent = () => (clock.monotonic() - takenAt <= FRESH ? stages : take())
  beat()
  const timer = clock.every(EVERY, beat)
  return {
    stages: (fresh = false) =>
      (fresh ? take() : recent()).map((stage) => statusOf(stage, watched.get(nameOf(stage)), takenAt)),
    stuck() {
      const at = clock.monotonic()
      for (const stage of recent()) {
        const still = stuckFor(stage, watched.get(nameOf(stage)), at)
        if (stage.mustMove && still > patience)
          return `${nameOf(stage)} has ${stage.queue} waiting and made no progress for ${Math.round(still / 1000)} s`
      }
      return undefined
    },
    stop: () => timer.cancel(),
  }
}

function nameOf(stage: StageNumbers): string {
  return stage.instance === undefined ? stage.stage : `${stage.stage} ${stage.instance}`
}

function doneBy(stage: StageNumbers): number {
  let done = stage.out
  for (const reason in stage.errors) done += stage.errors[reason] ?? 0
  return done
}

function feel(watched: Map<string, Watched>, stage: StageNumbers, at: number): void {
  const name = nameOf(stage)
  let one = watched.get(name)
  if (!one) {
    one = { beats: [], done: doneBy(stage), movedAt: at, queue: 0 }
    watched.set(name, one)
  }
  one.beats.push({ at, in: stage.in, out: stage.out })
  if (one.beats.length > BEATS) one.beats.shift()
  const done = doneBy(stage)
  // A queue that was empty a beat ago has not been waiting for longer than that.
  if (done !== one.done || one.queue === 0) one.movedAt = at
  one.done = done
  one.queue = stage.queue ?? 0
}

function stuckFor(stage: StageNumbers, one: Watched | undefined, at: number): number {
  if (!one || !stage.queue || doneBy(stage) !== one.done) return 0
  return at - one.movedAt
}

function statusOf(stage: StageNumbers, one: Watched | undefined, at: number): StageStatus {
  const p99 = stage.latency && quantile(stage.latency, 0.99)
  return {
    stage: stage.stage,
    ...(stage.instance === undefined ? {} : { instance: stage.instance }),
    in: stage.in,
    out: stage.out,
    inRate: rate(one, at, stage.in, (beat) => beat.in),
    outRate: rate(one, at, stage.out, (beat) => beat.out),
    ...(stage.bytes === undefined ? {} : { bytes: stage.bytes }),
    errors: { ...stage.errors },
    ...(stage.queue === undefined ? {} : { queue: stage.queue }),
    ...(stage.lag === undefined ? {} : { lagMs: stage.lag }),
    ...(p99 === undefined ? {} : { p99Ms: p99 }),
  }
}

/** Per second, one decimal. */
function rate(one: Watched | undefined, at: number, now: number, pick: (beat: Beat) => number): number {
  const first = one?.beats[0]
  if (!first || at - first.at < EVERY / 2) return 0
  return Math.round((10_000 * Math.max(0, now - pick(first))) / (at - first.at)) / 10
}
