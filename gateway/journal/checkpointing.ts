/**
 * When checkpoints are made: at the start, when 64 MB of journal have come since the last one (or twenty times its own
 * size, so that checkpoints cost at most a twentieth of what is written), and at a clean stop. In a flood that brings
 * so much each second, every five seconds: a start replays what came in that time.
 *
 * A checkpoint counts what the journal and the outbox hold, so it waits for both.
 */
import type { Clock } from '../clock.ts'
import { createComplaint } from '../complaint.ts'
import type { DeadLetters } from '../decode/dead-letters.ts'
import { BusyError, reasonOf } from '../errors.ts'
import type { History } from '../history/history.ts'
import { codeOf } from '../log/files.ts'
import type { Outbox } from '../outbox/outbox.ts'
import type { Pipeline } from '../pipeline.ts'
import type { PluginLog } from '../plugin.ts'
import { type CheckpointStore, encodeCheckpoint } from './checkpoint.ts'
import type { Journal } from './journal.ts'
import type { CheckpointFacts } from './recovery.ts'

export interface CheckpointingParts {
  readonly journal: Journal
  readonly pipeline: Pipeline
  readonly outbox: Outbox
  readonly deadLetters: DeadLetters
  readonly history?: Pick<History, 'cut' | 'flush'> | undefined
  readonly store: CheckpointStore
  readonly stages: () => Readonly<Record<string, unknown>>
  /** Journals an entry that changes nothing; false when there is no room. */
  readonly claim: () => boolean
  readonly clock: Clock
  readonly log: PluginLog
}

export interface Checkpointing {
  /** Makes one when enough has come; called now and then. */
  look(): void
  /** Makes one now; resolves when it is on disk, or could not be made. */
  now(): Promise<void>
  readonly last: { readonly entry: number; readonly bytes: number; readonly at: number } | undefined
}

const EVERY_BYTES = 64 << 20
const TIMES_OWN_SIZE = 20
/** None sooner than this after the last, ms, or a flood would have one each second, which takes a tenth of the rate … */
const FLOOD = 5000
/** … unless so many times as much has come. */
const FLOOD_TIMES = 4
/** One that could not be made is tried again after this, ms: a full disk is not asked each second. */
const RETRY = 10_000
/** Under load a moment may be the wrong one: nobody hears of it before none could be made for so long, ms. */
const PATIENCE = 10_000

export function createCheckpointing(parts: CheckpointingParts): Checkpointing {
  const { journal, pipeline, outbox, deadLetters, store, clock, log } = parts
  let last: { entry: number; bytes: number; at: number } | undefined
  let writtenAtLast = journal.log.bytesWritten
  let lastAt = clock.monotonic()
  let running: Promise<void> | undefined
  /** Monotonic; a checkpoint failed and is due then. */
  let dueAgain: number | undefined
  /** Monotonic; none could be made since. */
  let failing: number | undefined
  const complaint = createComplaint(clock)

  const make = async () => {
    // What is not journaled is processed under the number of the next entry: a checkpoint that counts it needs that entry.
    if (pipeline.entry > journal.last && !parts.claim())
      throw new BusyError('SLUICE_CHECKPOINT_EARLY', 'the journal has no room now')
    const { entry } = pipeline
    const facts: CheckpointFacts = {
      journal: journal.log.epoch,
      pipeline: pipeline.state(),
      deadLetters: deadLetters.report(),
      stages: parts.stages(),
    }
    // Everything that changes later must be taken before the first await.
    const windows = pipeline.windows.snapshot()
    outbox.closeGaps()
    parts.history?.cut(entry)
    const [bytes] = await Promise.all([encodeCheckpoint({ entry, facts, windows }), journal.log.flush()])
    await outbox.commit(entry, true)
    await parts.history?.flush(journal.log.durable)
    // A log that was closed meanwhile lets its waiters go.
    if (journal.log.durable < entry || outbox.coveredByAll < entry)
      throw new BusyError('SLUICE_CHECKPOINT_EARLY', 'the disk does not hold yet what a checkpoint would count')
    await store.save(bytes, entry)
    writtenAtLast = journal.log.bytesWritten
    lastAt = clock.monotonic()
    last = { entry, bytes: bytes.length, at: clock.now() }
  }

  const now = () => {
    running ??= make()
      .then(() => {
        dueAgain = undefined
        failing = undefined
        complaint.recovered(() => log.info({}, 'checkpoints are made again'))
      })
      .catch((error) => {
        const at = clock.monotonic()
        const busy = error instanceof BusyError
        failing ??= at
        dueAgain = at + (busy ? 0 : RETRY)
        if (busy && at - failing < PATIENCE) return
        complaint.raise(codeOf(error), () =>
          log.warn({ reason: reasonOf(error) }, 'no checkpoint could be made; the next start replays more'),
        )
      })
      .finally(() => {
        running = undefined
      })
    return running
  }

  return {
    now,
    look() {
      if (dueAgain !== undefined) {
        if (clock.monotonic() >= dueAgain) void now()
        return
      }
      const since = journal.log.bytesWritten - writtenAtLast
      const enough = Math.max(EVERY_BYTES, TIMES_OWN_SIZE * (last?.bytes ?? 0))
      const calm = clock.monotonic() - lastAt >= FLOOD
      if (since > (calm ? enough : FLOOD_TIMES * enough)) void now()
    },
    get last() {
      return last
    },
  }
}
