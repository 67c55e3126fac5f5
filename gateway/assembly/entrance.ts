/** The way in: one intake, a state for each source that brings messages, and what the start itself has to journal. */
import type { Clock } from '../clock.ts'
import { BusyError } from '../errors.ts'
import { flowOf, sameFlow } from '../flow.ts'
import { createEmit, Settler } from '../ingest/emit.ts'
import { Intake, type SourceState } from '../ingest/intake.ts'
import type { SentBefore } from '../ingest/sent-before.ts'
import { createTableJournal } from '../ingest/table-journal.ts'
import type { Durability } from '../journal/journal.ts'
import type { Recovered } from '../journal/recovery.ts'
import type { Log } from '../logging.ts'
import type { Emit } from '../plugin.ts'
import { definitionsOf } from '../rules/definition.ts'
import { STAGE as RULES, type RuleFact, type Seen } from '../rules/facts.ts'
import { type TimeSync, UNSYNCED_NOTICE } from '../time-sync.ts'
import { within } from '../within.ts'
import type { Running } from './running.ts'
import type { Stages } from './stages.ts'
import type { Storage } from './storage.ts'

export interface EntranceParts {
  readonly storage: Storage
  readonly running: Running
  readonly stages: Stages
  readonly recovered: Recovered
  readonly sentBefore: SentBefore
  readonly time: TimeSync
  readonly clock: Clock
  readonly log: Log
}

export interface Entrance {
  readonly intake: Intake
  readonly settler: Settler
  readonly taking: readonly SourceState[]
  /** A source of that name that may bring messages. */
  open(name: string, durability: Durability): SourceState
  /** What a plugin's source is given. */
  emit(name: string, durability: Durability): Emit
  emitOf(source: SourceState): Emit
  /** Journals what the rules must know. False: no room now. */
  ruleFact(fact: RuleFact): boolean
  /** An alert as seen by a person; resolves when that is durable. False: it is not raised. @throws BusyError no room now */
  acknowledge(id: string, seen: Seen): Promise<boolean>
  /** Journals the rows of look-up tables whose files have changed, some at a time. */
  changeTables(): void
  /** Journals all of them; resolves also when the disk does not take them in time. */
  allTables(): Promise<void>
  /** Journals the flow that the config now asks for, where it is another one. */
  changeFlow(force: boolean): void
  /** Journals how wrong the clock was, once it is right. */
  lookAtTime(): void
  /** Journals what damage has taken away since the last call. */
  recordLost(): void
}

/** How long a start or a reload waits for the disk to take its look-up tables, ms. */
const TABLES_WITHIN = 2000

export function openEntrance({
  storage,
  running,
  stages,
  recovered,
  sentBefore,
  time,
  clock,
  log,
}: EntranceParts): Entrance {
  const { journal, outbox } = storage
  const { pipeline } = recovered
  const { rules } = stages
  const blocked = () => outbox.full('result') || outbox.full('event') || outbox.full('reading')
  const intake = new Intake({ journal, pipeline, time, blocked })
  outbox.onRoom(() => intake.checkRoom())
  const settler = new Settler(journal.log, intake)
  const taking: SourceState[] = []
  const open = (name: string, durability: Durability): SourceState => {
    const source = intake.source(name, durability)
    taking.push(source)
    if (durability === 'none')
      running.notices.push(`source ${name} has durability none: a crash loses what it sent since the last checkpoint`)
    return source
  }
  const tables = createTableJournal(stages.lookups, pipeline, intake)
  const emitOf = (source: SourceState) => createEmit(intake, source, clock, settler, sentBefore)
  const ruleFact = (fact: RuleFact) => intake.control({ type: 'fact', stage: RULES, fact })
  return {
    intake,
    settler,
    taking,
    open,
    emit: (name, durability) => emitOf(open(name, durability)),
    emitOf,
    ruleFact,
    async acknowledge(id, seen) {
      if (!rules.isRaised(id)) return false
      if (!ruleFact({ type: 'acknowledge', id, ...seen, now: clock.now() }))
        throw new BusyError('SLUICE_BUSY', 'no room now')
      await journal.log.flush()
      return true
    },
    changeTables: () => void tables.go(),
    async allTables() {
      const deadline = clock.monotonic() + TABLES_WITHIN
      while (!tables.go() && clock.monotonic() < deadline) await within(clock, TABLES_WITHIN, journal.log.flush())
    },
    changeFlow(force) {
      const flow = flowOf(running.loaded.config)
      if (force || !sameFlow(pipeline.flow, flow)) intake.control({ type: 'flow', flow })
    },
    lookAtTime() {
      const offset = time.synced ? undefined : time.offset()
      if (offset === undefined || !intake.control({ type: 'synced', offset, now: clock.now() })) return
      time.done()
      log.info({ offset }, `the clock is right now: it was behind by ${Math.round(offset / 1000)} s`)
    },
    recordLost() {
      for (const { count, at } of storage.takeLost())
        intake.control({ type: 'gap', source: 'journal', reason: 'damage', count, from: at, to: at })
    },
  }
}

/** The first entries: the config's flow and rules where they changed, what the crash took, what the clock is worth. */
export async function journalTheStart(entrance: Entrance, parts: EntranceParts): Promise<void> {
  const { storage, running, stages, recovered, time, clock, log } = parts
  const { intake } = entrance
  const now = clock.now()
  await entrance.allTables()
  entrance.changeFlow(false)
  for (const fact of stages.rules.starting(definitionsOf(running.loaded.config.rules), now)) entrance.ruleFact(fact)
  if (storage.crashed) recordUnjournaled(entrance, storage, now)
  entrance.recordLost()
  if (recovered.begunAnew)
    intake.control({ type: 'gap', source: 'journal', reason: 'damage', count: 'unknown', from: now, to: now })
  entrance.lookAtTime()
  if (!time.synced) log.warn({ now: new Date(now).toISOString() }, UNSYNCED_NOTICE)
}

/** What sources without durability held when the last gateway crashed is gone, and nobody knows how much it was. */
function recordUnjournaled({ intake, taking }: Entrance, { journal }: Storage, now: number): void {
  const from = journal.log.oldestTime ?? now
  for (const { name, durability } of taking)
    if (durability === 'none')
      intake.control({ type: 'gap', source: name, reason: 'crash', count: 'unknown', from, to: now })
}
