/**
 * Everything of the log that touches the disk goes through `Files`, so that tests can tear, flip, fill and lose it.
 * Every method rejects with the system's error (`code`: ENOSPC, EIO, EROFS, ENOENT …) and leaves no descriptor open.
 */
import * as fs from 'node:fs'
import { dirname, resolve } from 'node:path'

export interface WritableFile {
  /** Writes all parts at `position`, in one call if the system takes it. After a rejection the content is unknown. */
  write(parts: readonly Uint8Array[], position: number): Promise<void>
  /** fdatasync. After a rejection what was written since the last one is unknown, also when a later one succeeds. */
  sync(): Promise<void>
  /** False when the file was deleted underneath: what is written now is lost with the descriptor. */
  linked(): boolean
  close(): Promise<void>
}

export interface ReadableFile {
  /** Reads up to `length` bytes to `into[at…]`; fewer only at the end of the file. */
  read(into: Uint8Array, at: number, length: number, position: number): Promise<number>
  close(): Promise<void>
}

export interface Files {
  /** With all parents, and durable; nothing happens when it exists. */
  makeDirectory(path: string): Promise<void>
  /** Names in a directory; empty when there is no such directory. */
  list(path: string): Promise<string[]>
  /** Bytes. */
  size(path: string): Promise<number>
  /** A new file; EEXIST when there is one. */
  create(path: string): Promise<WritableFile>
  /** A file to write into, made when it is missing. */
  edit(path: string): Promise<WritableFile>
  open(path: string): Promise<ReadableFile>
  truncate(path: string, length: number): Promise<void>
  rename(from: string, to: string): Promise<void>
  remove(path: string): Promise<void>
  /** Makes creations, renames and removals in a directory durable. */
  syncDirectory(path: string): Promise<void>
}

/** Waits for one callback of node:fs. */
function call<T>(start: (done: (error: NodeJS.ErrnoException | null, value?: T) => void) => void): Promise<T> {
  return new Promise((resolve, reject) => {
    start((error, value) => (error ? reject(error) : resolve(value as T)))
  })
}

/** What the system took of `parts` may be less than all: the parts that are left. */
function rest(parts: readonly Uint8Array[], taken: number): Uint8Array[] {
  const left: Uint8Array[] = []
  for (const part of parts) {
    if (taken < part.length) left.push(taken > 0 ? part.subarray(taken) : part)
    taken = Math.max(0, taken - part.length)
  }
  return left
}

async function writeAll(fd: number, parts: readonly Uint8Array[], position: number): Promise<void> {
  let left = parts
  while (left.length > 0) {
    const [only] = left
    const taken =
      left.length === 1 && only
        ? await call<number>((done) => fs.write(fd, only, 0, only.length, position, done))
        : await call<number>((done) => fs.writev(fd, left, position, done))
    // Or this would go round for ever.
    if (taken === 0) throw Object.assign(new Error('the disk takes nothing'), { code: 'EIO' })
    position += taken
    left = rest(left, taken)
  }
}

function writable(fd: number): WritableFile {
  return {
    write: (parts, position) => writeAll(fd, parts, position),
    sync: () => call((done) => fs.fdatasync(fd, done)),
    // The inode is in memory: no disk is waited for.
    linked: () => fs.fstatSync(fd).nlink > 0,
    close: () => call((done) => fs.close(fd, done)),
  }
}

function readable(fd: number): ReadableFile {
  return {
    async read(into, at, length, position) {
      let total = 0
      while (total < length) {
        const offset = at + total
        const left = length - total
        const from = position + total
        const taken = await call<number>((done) => fs.read(fd, into, offset, left, from, done))
        if (taken === 0) break
        total += taken
      }
      return total
    },
    close: () => call((done) => fs.close(fd, done)),
  }
}

const open = (path: string, flags: string | number) => call<number>((done) => fs.open(path, flags, 0o640, done))

async function syncAndClose(fd: number): Promise<void> {
  try {
    await call((done) => fs.fsync(fd, done))
  } finally {
    await call((done) => fs.close(fd, done))
  }
}

async function syncDirectory(path: string): Promise<void> {
  await syncAndClose(await open(path, 'r'))
}

/** The machine's file system. */
export const realFiles: Files = {
  async makeDirectory(path) {
    const first = await call<string | undefined>((done) => fs.mkdir(path, { recursive: true, mode: 0o750 }, done))
    if (first === undefined) return
    // A file that was synced is lost all the same when a power cut takes the directory that it is in.
    for (let made = resolve(path); made.length >= resolve(first).length; made = dirname(made))
      await syncDirectory(dirname(made))
  },
  list: (path) =>
    call<string[]>((done) => fs.readdir(path, done)).catch((error: NodeJS.ErrnoException) => {
      if (error.code === 'ENOENT') return []
      throw error
    }),
  size: async (path) => (await call<fs.Stats>((done) => fs.stat(path, done))).size,
  create: async (path) => writable(await open(path, 'wx')),
  edit: async (path) => writable(await open(path, fs.constants.O_RDWR | fs.constants.O_CREAT)),
  open: async (path) => readable(await open(path, 'r')),
  async truncate(path, length) {
    const fd = await open(path, 'r+')
    try {
      await call((done) => fs.ftruncate(fd, length, done))
    } finally {
      await syncAndClose(fd)
    }
  },
  rename: (from, to) => call((done) => fs.rename(from, to, done)),
  remove: (path) => call((done) => fs.unlink(path, done)),
  syncDirectory,
}

/** A small file's content, at most `limit` bytes; null when there is no such file. */
export async function readSmall(files: Files, path: string, limit = 65_536): Promise<Buffer | null> {
  let file: ReadableFile
  try {
    file = await files.open(path)
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return null
    throw error
  }
  try {
    const bytes = Buffer.alloc(limit)
    return bytes.subarray(0, await file.read(bytes, 0, limit, 0))
  } finally {
    await file.close()
  }
}

/** Replaces a small file so that after a crash either the old or the new content is there, whole. */
export async function replaceSmall(files: Files, path: string, content: Uint8Array): Promise<void> {
  const fresh = `${path}.new`
  await files.remove(fresh).catch(() => undefined)
  try {
    await writeWhole(files, fresh, content)
    await files.rename(fresh, path)
  } catch (error) {
    // It would hold the room that a full disk lacks.
    await files.remove(fresh).catch(() => undefined)
    throw error
  }
  await files.syncDirectory(dirname(path))
}

async function writeWhole(files: Files, path: string, content: Uint8Array): Promise<void> {
  const file = await files.create(path)
  try {
    await file.write([content], 0)
    await file.sync()
  } finally {
    await file.close()
  }
}

/** The system's error code, or `UNKNOWN`. */
export function codeOf(error: unknown): string {
  return (error as NodeJS.ErrnoException | null)?.code ?? 'UNKNOWN'
}
