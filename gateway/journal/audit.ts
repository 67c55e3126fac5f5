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
import { LEVEL_NAMES } from '../history/history.ts'
import type { Audit } from '../http/schemas.ts'
import { type Files, realFiles } from '../log/files.ts'
import type { Damage } from '../log/log.ts'
import { type LogReport, openStored, verifyLog } from '../log/verify.ts'
import { readOutboxState } from '../outbox/durable.ts'
import type { OutboxState } from '../outbox/state.ts'
import type { Onlooker, PipelineParts } from '../pipeline.ts'
import { createShapes } from '../reading.ts'
import { CLASSES, type RecordClass } from '../record.ts'
import { liveAudit } from '../view.ts'
import { openCheckpoints } from './checkpoint.ts'
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
  const damage: string[] = []
  const journal = await verify(realFiles, join(data, 'journal'), damage)
  const outbox = await verifyOutbox(data, damage)
  for (const level of LEVEL_NAMES) await verify(realFiles, join(data, 'history', level), damage)
  const ledger = await replayDry(data, damage)
  for (const { name, report } of outbox.logs) {
    if (report.marked - outbox.base > journal.next - 1)
      damage.push(
        `outbox ${name}: holds records of entry ${report.marked - outbox.base}, the journal ends at ${journal.next - 1}`,
      )
  }
  return { ...ledger, sinks: outbox.sinks, damage }
}

async function verify(files: Files, directory: string, damage: string[]): Promise<LogReport> {
  const report = await verifyLog({ directory, files })
  for (const found of report.damage) damage.push(damageLine(found))
  for (const name of report.quarantined) damage.push(`${join(directory, name)}: was put aside as unreadable`)
  return report
}

function damageLine({ file, offset, bytes, firstLost, lastLost }: Damage): string {
  const lost = firstLost === undefined || lastLost === undefined ? '' : `, ${lastLost - firstLost + 1} entries lost`
  return `${file}: ${bytes} bytes at ${offset} are not what was written${lost}`
}

interface OutboxAudit {
  readonly logs: readonly { readonly name: RecordClass; readonly report: LogReport }[]
  /** Added to entry numbers in its marks. */
  readonly base: number
  readonly sinks: Audit['sinks']
}

async function verifyOutbox(data: string, damage: string[]): Promise<OutboxAudit> {
  const logs: { name: RecordClass; report: LogReport }[] = []
  for (const name of CLASSES) logs.push({ name, report: await verify(realFiles, join(data, 'outbox', name), damage) })
  const state = await readState(data, damage)
  const sinks = logs.flatMap(({ name, report }) => sinksOf(state, name, report))
  return { logs, base: state?.base ?? 0, sinks }
}

async function readState(data: string, damage: string[]): Promise<OutboxState | null> {
  try {
    return await readOutboxState(realFiles, join(data, 'outbox', 'state'))
  } catch (error) {
    if (!(error instanceof DamageError)) throw error
    damage.push(error.message)
    return null
  }
}

function sinksOf(state: OutboxState | null, name: RecordClass, report: LogReport): Audit['sinks'] {
  const lane = state?.lanes[name]
  if (!lane) return []
  const distance = lane.jumps.at(-1)?.[1] ?? 0
  const end = report.next + distance
  return Object.entries(lane.readers).map(([sink, { next }]) => ({
    sink,
    class: name,
    acknowledged: next - 1,
    waiting: Math.max(0, end - next),
  }))
}

async function replayDry(data: string, damage: string[]): Promise<Audit> {
  const store = await openCheckpoints({
    files: realFiles,
    directory: join(data, 'checkpoints'),
    readOnly: true,
    onDamage: (file, reason) => damage.push(`${file}: ${reason}`),
  })
  const checkpoint = await store.load()
  const stored = await openStored({
    directory: join(data, 'journal'),
    files: realFiles,
    floor: (checkpoint?.entry ?? 0) + 1,
  })
  if (!checkpoint && stored.next > 1) damage.push('there is no checkpoint that can be read')
  try {
    const { pipeline, differences } = await recover({
      journal: { log: stored, replay: (from, visit) => replay(stored, from, visit) },
      checkpoint,
      flow: { decode: [], windows: [] },
      parts: dryParts(),
      restoreStages: () => undefined,
    })
    if (differences > 0) damage.push(`journal: ${differences} messages are not understood as they were when they came`)
    return liveAudit(pipeline, undefined)
  } catch (error) {
    if (error instanceof StartError) throw error
    damage.push(`the state cannot be rebuilt: ${reasonOf(error)}`)
    return { balanced: false, sources: [], windows: [], sinks: [] }
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
    lookups: {},
    deadLetters: createDeadLetters(0),
    output: { append: () => undefined, wants: () => false },
    watchers: [],
    onlooker: nobody,
  }
}
