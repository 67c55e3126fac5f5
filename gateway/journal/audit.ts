/**
 * The audit: proves from the data directory alone that every reading is accounted for and every file is intact. It
 * reads every byte, loads the newest checkpoint, replays the journal after it into a dry run, and compares. It changes
 * nothing and needs no running gateway.
 */
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { createDeadLetters } from '../decode/dead-letters.ts'
import { createDevices } from '../decode/devices.ts'
import { DamageError, reasonOf, StartError } from '../errors.ts'
import type { Audit } from '../http/schemas.ts'
import { realFiles } from '../log/files.ts'
import { type LogReport, openStored } from '../log/verify.ts'
import { readOutboxState } from '../outbox/durable.ts'
import type { OutboxState } from '../outbox/state.ts'
import type { PipelineParts } from '../pipeline.ts'
import { createShapes } from '../reading.ts'
import { CLASSES, type RecordClass } from '../record.ts'
import { liveAudit } from '../view/audit.ts'
import type { Onlooker } from '../watcher.ts'
import { openCheckpoints } from './checkpoint.ts'
import { type Intact, verifyFiles } from './intact.ts'
import { replay } from './journal.ts'
import { recover } from './recovery.ts'

export interface AuditReport extends Audit {
  /** One line per damaged file or frame, or promise that is not kept. */
  readonly damage: readonly string[]
}

/** @throws StartError there is no data, or it is of a newer version */
export async function auditData({ data }: { readonly data: string }): Promise<AuditReport> {
  if (!existsSync(join(data, 'journal')))
    throw new StartError('SLUICE_NO_DATA', `there is no gateway's data in ${data}`)
  const { logs, damage } = await verifyFiles(data)
  const state = await readOutboxState(realFiles, join(data, 'outbox', 'state')).catch(unreadable)
  const { ledger, complaints } = await replayDry(data)
  const ahead = CLASSES.flatMap((name) => aheadOf(name, logs, state?.base ?? 0))
  const sinks = CLASSES.flatMap((name) => sinksOf(state, name, logs.get(join('outbox', name))))
  return { ...ledger, sinks, damage: [...damage, ...ahead, ...complaints] }
}

/** It was reported with the other files. */
function unreadable(error: unknown): null {
  if (error instanceof DamageError) return null
  throw error
}

/** No outbox commit precedes the journal commit of what it counts. */
function aheadOf(name: RecordClass, logs: Intact['logs'], base: number): string[] {
  const marked = (logs.get(join('outbox', name))?.marked ?? 0) - base
  const last = (logs.get('journal')?.next ?? 1) - 1
  return marked > last ? [`outbox ${name}: holds records of entry ${marked}, the journal ends at ${last}`] : []
}

function sinksOf(state: OutboxState | null, name: RecordClass, report: LogReport | undefined): Audit['sinks'] {
  const lane = state?.lanes[name]
  if (!lane) return []
  const distance = lane.jumps.at(-1)?.[1] ?? 0
  const end = (report?.next ?? 1) + distance
  return Object.entries(lane.readers).map(([sink, { next }]) => ({
    sink,
    class: name,
    acknowledged: next - 1,
    waiting: Math.max(0, end - next),
  }))
}

interface Replayed {
  readonly ledger: Audit
  readonly complaints: readonly string[]
}

async function replayDry(data: string): Promise<Replayed> {
  const directory = join(data, 'checkpoints')
  // What cannot be read was reported with the other files.
  const store = await openCheckpoints({ files: realFiles, directory, readOnly: true, onDamage: () => undefined })
  const checkpoint = await store.load()
  const floor = (checkpoint?.entry ?? 0) + 1
  const stored = await openStored({ directory: join(data, 'journal'), files: realFiles, floor })
  const complaints = !checkpoint && stored.next > 1 ? ['there is no checkpoint that can be read'] : []
  try {
    const { pipeline, differences } = await recover({
      journal: { log: stored, replay: (from, visit) => replay(stored, from, visit) },
      checkpoint,
      flow: { decode: [], windows: [] },
      parts: dryParts(),
      restoreStages: () => undefined,
    })
    if (differences > 0)
      complaints.push(`journal: ${differences} messages are not understood as they were when they came`)
    return { ledger: liveAudit(pipeline, undefined), complaints }
  } catch (error) {
    if (error instanceof StartError) throw error
    complaints.push(`the state cannot be rebuilt: ${reasonOf(error)}`)
    return { ledger: { balanced: false, sources: [], windows: [], sinks: [] }, complaints }
  }
}

function dryParts(): PipelineParts {
  const nobody: Onlooker = {
    reading: () => undefined,
    result: () => undefined,
    record: () => undefined,
    deadLetter: () => undefined,
  }
  return {
    devices: createDevices(),
    shapes: createShapes(),
    deadLetters: createDeadLetters(0),
    output: { append: () => undefined, wants: () => false },
    watchers: [],
    onlooker: nobody,
  }
}
