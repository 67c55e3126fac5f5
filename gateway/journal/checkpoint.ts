/**
 * Checkpoints: the gateway's whole state after some entry of the journal, so that a start replays only what came later.
 *
 *   checkpoint-<entry>.ckpt   "SLUICECP" | version u8 | 0 0 0 | crc32 of the 12 bytes before and of the rest | deflated:
 *                             length of the facts u32 | facts, JSON | windows, as they wrote themselves
 *
 * Version 1 had the CRC of the rest only: a flipped version would have been taken for a newer gateway's.
 *
 * A checkpoint counts only once the journal is durable up to its entry and the outbox too, which is the caller's care.
 * Two are kept, and the journal back to the older one: a damaged checkpoint costs a longer replay, nothing else. What
 * can't be read is renamed to `.corrupt` and never looked at again.
 */
import { basename, join } from 'node:path'
import { finished } from 'node:stream/promises'
import { promisify } from 'node:util'
import { createDeflate, inflate } from 'node:zlib'
import { DamageError, newerData, reasonOf, StartError } from '../errors.ts'
import { crc32 } from '../log/crc32.ts'
import { codeOf, type Files, readSmall, replaceSmall } from '../log/files.ts'

const MAGIC = Buffer.from('SLUICECP', 'latin1')
const VERSION = 2
const HEAD = 16
const CRC_AT = 12
const NAME = /^checkpoint-(\d{16})\.ckpt$/
/** No checkpoint is larger, bytes. */
const LIMIT = 1 << 30
const KEPT = 2

/** Compression of a checkpoint: it is written once in 64 MB of journal, so speed matters more than size. */
const LEVEL = 1
/** What is compressed between two turns of the event loop, bytes. */
const BATCH = 512 * 1024

export interface Checkpoint {
  /** The last entry whose effects are in it. */
  readonly entry: number
  /** All but the windows, as plain JSON. */
  readonly facts: unknown
  readonly windows: Uint8Array
}

/** Compressed piece by piece; other work gets its turn in between. @param windows a piece is valid until the next one is asked for */
export async function encodeCheckpoint(
  checkpoint: Omit<Checkpoint, 'windows'> & { readonly windows: Iterable<Uint8Array> },
): Promise<Buffer> {
  const facts = Buffer.from(JSON.stringify({ entry: checkpoint.entry, facts: checkpoint.facts }))
  const length = Buffer.alloc(4)
  length.writeUInt32BE(facts.length)
  const head = Buffer.alloc(HEAD)
  MAGIC.copy(head)
  head[8] = VERSION
  let crc = crc32(head.subarray(0, CRC_AT), 0)
  const parts: Buffer[] = [head]
  const stream = createDeflate({ level: LEVEL })
  stream.on('data', (part: Buffer) => {
    crc = crc32(part, crc)
    parts.push(part)
  })
  const write = (bytes: Uint8Array) =>
    new Promise<void>((resolve, reject) => stream.write(bytes, (error) => (error ? reject(error) : resolve())))
  const feed = async () => {
    await write(Buffer.concat([length, facts]))
    for (const batch of batched(checkpoint.windows)) await write(batch)
    stream.end()
  }
  await Promise.all([feed(), finished(stream)])
  head.writeUInt32BE(crc, CRC_AT)
  return Buffer.concat(parts)
}

/** While sockets flood each batch waits some milliseconds for its turn, so there must not be many. */
function* batched(pieces: Iterable<Uint8Array>): Generator<Uint8Array> {
  const batch = Buffer.allocUnsafe(BATCH)
  let used = 0
  for (const piece of pieces) {
    for (let at = 0; at < piece.length; ) {
      const part = piece.subarray(at, at + BATCH - used)
      batch.set(part, used)
      used += part.length
      at += part.length
      if (used < BATCH) continue
      yield batch
      used = 0
    }
  }
  yield batch.subarray(0, used)
}

/**
 * @throws StartError `SLUICE_NEWER_DATA` a newer gateway wrote it
 * @throws DamageError these are not the bytes of a checkpoint
 */
export async function decodeCheckpoint(bytes: Buffer, path: string): Promise<Checkpoint> {
  if (bytes.length < HEAD || bytes.compare(MAGIC, 0, 8, 0, 8) !== 0) {
    throw new DamageError('SLUICE_CHECKPOINT', 'not a checkpoint')
  }
  const body = bytes.subarray(HEAD)
  const first = bytes[8] === 1 && bytes.readUIntBE(9, 3) === 0
  const seed = first ? 0 : crc32(bytes.subarray(0, CRC_AT), 0)
  if (crc32(body, seed) !== bytes.readUInt32BE(CRC_AT))
    throw new DamageError('SLUICE_CHECKPOINT', 'checkpoint is damaged')
  const version = bytes[8] as number
  if (version > VERSION) throw newerData(path, version, VERSION)
  const plain = await promisify<Uint8Array, Buffer>(inflate)(body)
  const end = 4 + plain.readUInt32BE(0)
  const { entry, facts } = JSON.parse(plain.toString('utf8', 4, end)) as { entry: number; facts: unknown }
  return { entry, facts, windows: plain.subarray(end) }
}

export interface CheckpointStore {
  /** The newest that can be read, or null. */
  load(): Promise<Checkpoint | null>
  /** Resolves when it is on disk; removes the oldest. */
  save(bytes: Buffer, entry: number): Promise<void>
  /** The journal is needed from the entry after this one on. */
  readonly oldest: number
  /** Entry of the newest that was ever seen here, also of one that cannot be read; 0 if none. */
  readonly newest: number
}

export interface StoreOptions {
  readonly files: Files
  readonly directory: string
  /** A checkpoint could not be read and was put aside. */
  onDamage(file: string, reason: string): void
  /** Sees each saving and how it ends. */
  readonly watched?: (saving: Promise<void>) => Promise<void>
  /** Changes nothing on disk: for an audit. */
  readonly readOnly?: boolean
}

export async function openCheckpoints(options: StoreOptions): Promise<CheckpointStore> {
  const { files, directory, watched = (saving) => saving } = options
  // A full disk is no reason not to start; saving tries again.
  if (!options.readOnly) await files.makeDirectory(directory).catch(() => undefined)
  let entries = (await files.list(directory)).flatMap((name) => entryOf(name)).sort((a, b) => b - a)
  let newest = entries[0] ?? 0
  const save = async (bytes: Buffer, entry: number) => {
    await files.makeDirectory(directory)
    await replaceSmall(files, pathOf(directory, entry), bytes)
    newest = Math.max(newest, entry)
    entries = [entry, ...entries.filter((other) => other !== entry)]
    for (const old of entries.slice(KEPT)) await removed(files, pathOf(directory, old))
    entries = entries.slice(0, KEPT)
  }
  return {
    get newest() {
      return newest
    },
    get oldest() {
      return entries.at(-1) ?? 0
    },
    async load() {
      for (const entry of [...entries]) {
        const checkpoint = await read(options, entry)
        if (checkpoint) return checkpoint
        entries = entries.filter((other) => other !== entry)
      }
      return null
    },
    save: (bytes, entry) => watched(save(bytes, entry)),
  }
}

function entryOf(name: string): number[] {
  const match = NAME.exec(name)
  return match ? [Number(match[1])] : []
}

/** Somebody may have deleted it already. */
async function removed(files: Files, path: string): Promise<void> {
  await files.remove(path).catch((error) => {
    if (codeOf(error) !== 'ENOENT') throw error
  })
}

function pathOf(directory: string, entry: number): string {
  return join(directory, `checkpoint-${String(entry).padStart(16, '0')}.ckpt`)
}

/**
 * A checkpoint whose name says what it holds.
 *
 * @throws DamageError, StartError as `decodeCheckpoint`; the system's errors
 */
export async function readCheckpoint(files: Files, path: string): Promise<Checkpoint> {
  const bytes = await readSmall(files, path, Math.min(LIMIT, await files.size(path)))
  const checkpoint = await decodeCheckpoint(bytes ?? Buffer.alloc(0), path)
  const [entry] = entryOf(basename(path))
  if (checkpoint.entry !== entry) throw new DamageError('SLUICE_CHECKPOINT', `holds entry ${checkpoint.entry}`)
  return checkpoint
}

async function read(options: StoreOptions, entry: number): Promise<Checkpoint | null> {
  const { files, directory } = options
  const path = pathOf(directory, entry)
  try {
    return await readCheckpoint(files, path)
  } catch (error) {
    if (error instanceof StartError) throw error
    if (!options.readOnly) await files.rename(path, `${path}.corrupt`).catch(() => undefined)
    options.onDamage(path, reasonOf(error))
    return null
  }
}
