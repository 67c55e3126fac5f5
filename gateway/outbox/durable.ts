/**
 * An outbox on disk: a log per class, and beside them what the outbox remembers of sinks and losses.
 *
 *   directory/event/ result/ reading/    see gateway/log/log.ts
 *   directory/state                      crc32 of the rest, 8 hexadecimal digits, new line, JSON (see state.ts)
 */
import { dirname, join } from 'node:path'
import type { Clock } from '../clock.ts'
import { DamageError, newerData, reasonOf } from '../errors.ts'
import { crc32 } from '../log/crc32.ts'
import { codeOf, type Files, readSmall, realFiles, replaceSmall } from '../log/files.ts'
import { type Damage, type Log, openLog, type Trouble } from '../log/log.ts'
import { CLASSES, type RecordClass } from '../record.ts'
import { createLogStore } from './log-store.ts'
import type { Jump } from './numbering.ts'
import { type Outbox, type OutboxOptions, openOutbox } from './outbox.ts'
import type { OutboxState, StateKeeper } from './state.ts'

export interface DurableOptions extends OutboxOptions {
  readonly directory: string
  /** Deflate what is kept. Default true: JSON shrinks to a quarter. */
  readonly compress?: boolean
}

export interface DurableParts {
  readonly clock: Clock
  readonly files?: Files
  /** The disk fails, or works again (null). */
  readonly onTrouble?: (what: RecordClass | 'state', trouble: Pick<Trouble, 'code' | 'message'> | null) => void
  /** Bytes on disk are not what was written; records lost with them go upstream as a gap. */
  readonly onDamage?: (what: RecordClass | 'state', damage: Damage | DamageError) => void
}

export const STATE_FILE = 'state'
const STATE_VERSION: OutboxState['v'] = 1
const CRC_DIGITS = 8
const MAX_SEGMENT = 8 << 20
const MIN_SEGMENT = 16 << 10
/** So many segments of one class fit into the budget at least: as fine is what a full budget drops at once. */
const SEGMENTS = 64

/** The files of an outbox, opened before its journal is: they know which of the journal's entries others were told of. */
export interface OutboxFiles {
  /** Highest entry of the journal whose records may have left; 0 if none. The journal must not give it again. */
  readonly entry: number
  /**
   * @param journal the epoch of the journal that it goes on with
   * @param from the journal's next entry
   */
  start(journal: string, from?: number): Promise<Outbox>
}

export async function openDurableOutbox(options: DurableOptions, parts: DurableParts): Promise<Outbox> {
  return (await openOutboxFiles(options, parts)).start(options.journal)
}

export async function openOutboxFiles(
  options: Omit<DurableOptions, 'journal'>,
  parts: DurableParts,
): Promise<OutboxFiles> {
  const { directory } = options
  const { clock, files = realFiles, onTrouble, onDamage } = parts
  const segmentBytes = Math.max(MIN_SEGMENT, Math.min(MAX_SEGMENT, Math.floor(options.maxBytes / SEGMENTS)))
  const open = (name: RecordClass) =>
    openLog({
      directory: join(directory, name),
      files,
      clock,
      segmentBytes,
      compress: options.compress ?? true,
      commit: { interval: options.commit ?? 100 },
      onTrouble: (trouble) => onTrouble?.(name, trouble),
      onDamage: (damage) => onDamage?.(name, damage),
    })
  const path = join(directory, STATE_FILE)
  const saved = await loadState(files, path, (damage) => onDamage?.('state', damage))
  const [event, result, reading] = await Promise.all([open('event'), open('result'), open('reading')])
  const logs = { event, result, reading }
  const stores = {
    event: createLogStore(logs.event),
    result: createLogStore(logs.result),
    reading: createLogStore(logs.reading),
  }
  const jumps = saved === undefined ? await findJumps(logs) : {}
  const marked = Math.max(...CLASSES.map((name) => logs[name].marked))
  return {
    entry: Math.max(0, marked - (saved?.base ?? 0)),
    start: (journal, journalFrom = 1) =>
      openOutbox(
        { ...options, journal, journalFrom },
        { clock, stores, state: stateKeeper(files, path, saved, (trouble) => onTrouble?.('state', trouble)), jumps },
      ),
  }
}

function stateKeeper(
  files: Files,
  path: string,
  saved: OutboxState | undefined,
  onTrouble: (trouble: { readonly code: string; readonly message: string } | null) => void,
): StateKeeper {
  let failing = false
  return {
    saved,
    async save(state) {
      try {
        await writeOutboxState(files, path, state)
        if (failing) onTrouble(null)
        failing = false
      } catch (error) {
        failing = true
        onTrouble({ code: codeOf(error), message: reasonOf(error) })
        throw error
      }
    },
  }
}

/** Without its state an outbox starts all the same: sinks are sent what is kept once more. */
async function loadState(
  files: Files,
  path: string,
  damaged: (error: DamageError) => void,
): Promise<OutboxState | undefined> {
  try {
    return (await readOutboxState(files, path)) ?? undefined
  } catch (error) {
    if (!(error instanceof DamageError)) throw error
    damaged(error)
    // A disk that is full or read-only keeps it where it is; the next state replaces it.
    await files.rename(path, `${path}.corrupt`).catch(() => undefined)
    return undefined
  }
}

/**
 * @returns null when there is none
 * @throws DamageError it is not what was written
 * @throws StartError SLUICE_NEWER_DATA
 */
export async function readOutboxState(files: Files, path: string): Promise<OutboxState | null> {
  const size = await files.size(path).catch(() => 0)
  const bytes = await readSmall(files, path, size)
  if (bytes === null) return null
  const json = bytes.subarray(CRC_DIGITS + 1)
  if (bytes.toString('latin1', 0, CRC_DIGITS) !== crcOf(json))
    throw new DamageError('SLUICE_OUTBOX_STATE', `outbox state ${path} is damaged`)
  const state = JSON.parse(json.toString('utf8')) as OutboxState
  if (state.v !== STATE_VERSION) throw newerData(path, state.v, STATE_VERSION)
  return state
}

export async function writeOutboxState(files: Files, path: string, state: OutboxState): Promise<void> {
  const json = Buffer.from(JSON.stringify(state))
  await files.makeDirectory(dirname(path))
  await replaceSmall(files, path, Buffer.concat([Buffer.from(`${crcOf(json)}\n`), json]))
}

function crcOf(json: Buffer): string {
  return crc32(json, 0).toString(16).padStart(CRC_DIGITS, '0')
}

/** How numbers run beside positions, from the records themselves. */
export async function findJumps(
  logs: Readonly<Record<RecordClass, Pick<Log, 'first' | 'read'>>>,
): Promise<Partial<Record<RecordClass, Jump[]>>> {
  const found: Partial<Record<RecordClass, Jump[]>> = {}
  for (const name of CLASSES) {
    const jumps: Jump[] = []
    for await (const { first, count, body, bounds } of logs[name].read(logs[name].first)) {
      for (let i = 0; i < count; i++) {
        const distance = numberOf(body, bounds[2 * i] as number) - (first + i)
        if (jumps.at(-1)?.[1] !== distance) jumps.push([first + i, distance])
      }
    }
    if (jumps.length > 0) found[name] = jumps
  }
  return found
}

/** The number in a record's JSON text, which begins `{"seq":`. */
function numberOf(bytes: Buffer, start: number): number {
  let number = 0
  for (let i = start + 7; ; i++) {
    const digit = (bytes[i] as number) - 0x30
    if (!(digit >= 0 && digit <= 9)) return number
    number = number * 10 + digit
  }
}
