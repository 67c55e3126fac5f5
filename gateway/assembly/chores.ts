/** What the gateway does by the clock: close windows, watch deadlines, keep the disk in its budget, be findable. */
import { existsSync } from 'node:fs'
import { runtimeFile, writeRuntime } from '../cli/runtime.ts'
import type { Clock } from '../clock.ts'
import { createComplaint } from '../complaint.ts'
import { reasonOf } from '../errors.ts'
import type { Checkpointing } from '../journal/checkpointing.ts'
import { codeOf } from '../log/files.ts'
import type { Log } from '../logging.ts'
import type { Pipeline } from '../pipeline.ts'
import type { Entrance } from './entrance.ts'
import type { Running } from './running.ts'
import type { Stages } from './stages.ts'
import type { Storage } from './storage.ts'

/** How often the clock may close windows, and drops are recorded, ms. */
const TICK = 100
/** How often room on the disk is looked after, ms. */
const HOUSEKEEPING = 1000

export interface ChoreParts {
  readonly storage: Storage
  readonly running: Running
  readonly stages: Stages
  readonly entrance: Entrance
  readonly pipeline: Pipeline
  readonly checkpointing: Checkpointing
  readonly whereabouts: Whereabouts
  readonly clock: Clock
}

/** Returns a function that ends them. */
export function startChores(parts: ChoreParts): () => void {
  const closeWindows = createWindowCloser(parts)
  const timers = [
    parts.clock.every(TICK, () => tick(parts, closeWindows)),
    parts.clock.every(HOUSEKEEPING, () => keepHouse(parts)),
  ]
  return () => {
    for (const timer of timers) timer.cancel()
  }
}

function tick({ entrance, stages, clock }: ChoreParts, closeWindows: () => void): void {
  const { intake } = entrance
  entrance.lookAtTime()
  entrance.changeTables()
  closeWindows()
  const fact = stages.rules.due(clock.now(), clock.monotonic())
  if (fact) entrance.ruleFact(fact)
  intake.checkRoom()
  if (!intake.full) intake.flushDrops(entrance.taking)
  stages.commands.stage.poke()
}

/** Very many are closed in slices, one in each turn of the event loop. */
function createWindowCloser({ entrance, pipeline, running, clock }: ChoreParts): () => void {
  let again = false
  const close = () => {
    const tick = pipeline.windows.due(clock.now(), clock.monotonic(), pipeline.entry)
    if (!tick || !entrance.intake.control({ type: 'tick', tick }) || !pipeline.windows.ticking) return
    again = true
    setImmediate(() => {
      again = false
      if (running.ready) close()
    })
  }
  return () => {
    if (!again) close()
  }
}

function keepHouse({ storage, running, entrance, checkpointing, whereabouts }: ChoreParts): void {
  const { journal, checkpoints } = storage
  checkpointing.look()
  storage.history?.trim(storage.full())
  entrance.recordLost()
  whereabouts.look()
  const { maxAge, maxBytes } = running.first.config.journal
  // Messages that are in a checkpoint are kept for people alone: on a full disk the older half goes.
  const budget = storage.full() ? journal.log.bytes / 2 : maxBytes
  const keepFrom = checkpoints.oldest + 1
  void journal.log.retain({ maxBytes: budget, keepFrom, ...(maxAge === undefined ? {} : { maxAge }) })
}

/** `runtime.json`: without it the command line finds no gateway, but the gateway runs all the same. */
export interface Whereabouts {
  write(): Promise<void>
  /** Tries again what failed, and writes again what somebody deleted. */
  look(): void
}

/** @param content asked at each try */
export function createWhereabouts(
  directory: string,
  content: () => Parameters<typeof writeRuntime>[1],
  clock: Clock,
  log: Log,
): Whereabouts {
  const complaint = createComplaint(clock)
  /** Undefined before the first try. */
  let written: boolean | undefined
  const write = async () => {
    try {
      await writeRuntime(directory, content())
      written = true
    } catch (error) {
      written = false
      complaint.raise(codeOf(error), () =>
        log.warn({ reason: reasonOf(error) }, 'cannot write runtime.json: the command line does not find this gateway'),
      )
    }
  }
  return {
    write,
    look() {
      if (written === false || (written && !existsSync(runtimeFile(directory)))) void write()
    },
  }
}
