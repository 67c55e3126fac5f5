/**
 * A disk in memory that can lose power, fill up, fail and rot, seen through `Files`.
 *
 * It keeps what the kernel would show (`content`) apart from what the platters hold (`stable`). Between two fdatasyncs
 * nothing is promised: at a power cut each 512-byte sector that was written since has its old bytes or its new ones,
 * whatever the order. Names change in order, as on every journaling file system: of those made, moved and removed since
 * the directory was synced, some first ones hold.
 * After a failed fdatasync the kernel calls the pages clean: they are shown, and never reach the platters any more.
 */
import { dirname } from 'node:path'
import type { Files, ReadableFile, WritableFile } from '../../gateway/log/files.ts'

const SECTOR = 512

interface Write {
  readonly position: number
  readonly bytes: Buffer
}

interface Inode {
  content: Buffer
  stable: Buffer
  /** Writes and cuts since the last fdatasync. */
  dirty: (Write | { readonly length: number })[]
  names: number
}

/** What a fault is asked about: the kind of operation and its path. */
export type Operation =
  | 'mkdir'
  | 'list'
  | 'size'
  | 'create'
  | 'edit'
  | 'open'
  | 'read'
  | 'write'
  | 'sync'
  | 'truncate'
  | 'rename'
  | 'remove'
  | 'syncdir'

export interface FaultyDisk {
  /** The disk as a process sees it, until it is killed. */
  mount(): Files
  /** The process dies; what it wrote stays with the kernel. A write under way is cut short anywhere. */
  kill(): void
  /** The process dies and the power fails. */
  powerCut(): void
  /** An error code to fail the operation with, or null. */
  fault: (operation: Operation, path: string) => string | null
  /** Bytes that fit; ENOSPC beyond, after a part was written. */
  capacity: number
  readonly bytesRead: number
  /** Operations so far, for faults at a certain one. */
  readonly operations: number
  paths(): string[]
  content(path: string): Buffer
  /** Replaces what the kernel shows and the platters hold. */
  put(path: string, content: Uint8Array): void
  removeDirectory(path: string): void
}

function failure(code: string, path: string): Error {
  return Object.assign(new Error(`${code}: ${path}`), { code })
}

async function underWayFor(turns: number): Promise<void> {
  for (let turn = 0; turn < turns; turn++) await new Promise((resolve) => setImmediate(resolve))
}

function applied(old: Buffer, change: Write | { readonly length: number }): Buffer {
  if ('length' in change) return Buffer.concat([old, Buffer.alloc(change.length)]).subarray(0, change.length)
  const end = Math.max(old.length, change.position + change.bytes.length)
  const fresh = Buffer.alloc(end)
  old.copy(fresh)
  change.bytes.copy(fresh, change.position)
  return fresh
}

/** @param random evenly in [0, 1) */
export function createFaultyDisk(random: () => number = () => 0.5): FaultyDisk {
  let names = new Map<string, Inode>()
  let stableNames = new Map<string, Inode>()
  /** What became of names since the directory was synced. */
  let renamed: (readonly [path: string, inode: Inode | null])[][] = []
  const directories = new Set<string>(['/'])
  let generation = 0
  let bytesRead = 0
  let operations = 0
  let underWay = new Set<() => void>()

  const disk: FaultyDisk = {
    fault: () => null,
    capacity: Infinity,
    get bytesRead() {
      return bytesRead
    },
    get operations() {
      return operations
    },
    paths: () => [...names.keys()].sort(),
    content: (path) => Buffer.from(found(path).content),
    put(path, content) {
      const inode = { content: Buffer.from(content), stable: Buffer.from(content), dirty: [], names: 1 }
      addDirectory(dirname(path))
      names.set(path, inode)
      stableNames.set(path, inode)
    },
    removeDirectory(path) {
      for (const known of [...directories])
        if (known === path || known.startsWith(`${path}/`)) directories.delete(known)
      for (const [name, inode] of [...names]) {
        if (!name.startsWith(`${path}/`)) continue
        names.delete(name)
        stableNames.delete(name)
        inode.names--
      }
    },
    kill() {
      generation++
      for (const cutShort of underWay) cutShort()
      underWay = new Set()
    },
    powerCut() {
      disk.kill()
      const held = Math.floor(random() * (renamed.length + 1))
      for (const changes of renamed.slice(0, held)) hold(changes)
      renamed = []
      const survivors = new Map(stableNames)
      for (const inode of new Set(survivors.values())) lose(inode)
      names = survivors
      stableNames = new Map(survivors)
    },
    mount: () => mountAt(generation),
  }

  function hold(changes: (readonly [path: string, inode: Inode | null])[]): void {
    for (const [path, inode] of changes) {
      if (inode) stableNames.set(path, inode)
      else stableNames.delete(path)
    }
  }

  /** Often nothing or everything made it; else each sector for itself. */
  function survivingSectors(write: Write, mood: number): Write[] {
    const kept: Write[] = []
    for (let at = 0; at < write.bytes.length; ) {
      const end = Math.min(write.bytes.length, at + SECTOR - ((write.position + at) % SECTOR))
      const holds = mood < 0.25 ? false : mood < 0.5 ? true : random() < 0.5
      if (holds) kept.push({ position: write.position + at, bytes: write.bytes.subarray(at, end) })
      at = end
    }
    return kept
  }

  function lose(inode: Inode): void {
    const mood = random()
    let content = inode.stable
    for (const change of inode.dirty) {
      if ('length' in change) {
        if (random() < 0.5) content = applied(content, change)
        continue
      }
      const kept = survivingSectors(change, mood)
      const last = kept.at(-1)
      if (!last) continue
      content = applied(content, last)
      for (const { position, bytes } of kept) bytes.copy(content, position)
    }
    inode.content = content
    inode.stable = content
    inode.dirty = []
    inode.names = 1
  }

  function found(path: string): Inode {
    const inode = names.get(path)
    if (!inode) throw failure('ENOENT', path)
    return inode
  }

  function addDirectory(path: string): void {
    for (let at = path; !directories.has(at); at = dirname(at)) directories.add(at)
  }

  function used(): number {
    let total = 0
    for (const inode of names.values()) total += inode.content.length
    return total
  }

  function change(inode: Inode, what: Write | { readonly length: number }): void {
    inode.content = applied(inode.content, what)
    inode.dirty.push(what)
  }

  function mountAt(mine: number): Files {
    /** Runs in a later turn, a sync some turns later, what is written meanwhile being no part of it; never comes back to a process that died meanwhile. */
    async function operation<T>(kind: Operation, path: string, run: () => T, cutShort?: () => void): Promise<T> {
      if (mine !== generation) return new Promise(() => undefined)
      if (cutShort) underWay.add(cutShort)
      await underWayFor(kind === 'sync' ? 1 + Math.floor(random() * 12) : 1)
      if (mine !== generation) return new Promise(() => undefined)
      if (cutShort) underWay.delete(cutShort)
      operations++
      const code = disk.fault(kind, path)
      if (code === null) return run()
      if (kind === 'write') cutShort?.()
      if (kind === 'sync') names.get(path)?.dirty.splice(0)
      throw failure(code, path)
    }

    function write(inode: Inode, path: string, parts: readonly Uint8Array[], position: number): Promise<void> {
      // Copied at once: the caller may not touch its buffers before this is done, and must not get away with it.
      const bytes = Buffer.concat(parts)
      const some = (length: number) => change(inode, { position, bytes: bytes.subarray(0, length) })
      const run = () => {
        const room = disk.capacity - used() + Math.max(0, inode.content.length - position)
        if (bytes.length <= room) return some(bytes.length)
        some(Math.max(0, room))
        throw failure('ENOSPC', path)
      }
      return operation('write', path, run, () => some(Math.floor(random() * (bytes.length + 1))))
    }

    const writable = (path: string, inode: Inode): WritableFile => ({
      write: (parts, position) => write(inode, path, parts, position),
      sync() {
        const until = inode.dirty.length
        return operation('sync', path, () => {
          for (const done of inode.dirty.splice(0, until)) inode.stable = applied(inode.stable, done)
        })
      },
      linked: () => inode.names > 0,
      close: async () => undefined,
    })

    const readable = (path: string, inode: Inode): ReadableFile => ({
      read: (into, at, length, position) =>
        operation('read', path, () => {
          const part = inode.content.subarray(position, position + length)
          into.set(part, at)
          bytesRead += part.length
          return part.length
        }),
      close: async () => undefined,
    })

    function make(path: string): Inode {
      if (!directories.has(dirname(path))) throw failure('ENOENT', path)
      const inode: Inode = { content: Buffer.alloc(0), stable: Buffer.alloc(0), dirty: [], names: 1 }
      names.set(path, inode)
      renamed.push([[path, inode]])
      return inode
    }

    return {
      makeDirectory: (path) => operation('mkdir', path, () => addDirectory(path)),
      list: (path) =>
        operation('list', path, () =>
          [...names.keys()].filter((p) => dirname(p) === path).map((p) => p.slice(path.length + 1)),
        ),
      size: (path) => operation('size', path, () => found(path).content.length),
      create: (path) =>
        operation('create', path, () => {
          if (names.has(path)) throw failure('EEXIST', path)
          return writable(path, make(path))
        }),
      edit: (path) => operation('edit', path, () => writable(path, names.get(path) ?? make(path))),
      open: (path) => operation('open', path, () => readable(path, found(path))),
      truncate: (path, length) =>
        operation('truncate', path, () => {
          const inode = found(path)
          change(inode, { length })
          for (const done of inode.dirty.splice(0)) inode.stable = applied(inode.stable, done)
        }),
      rename: (from, to) =>
        operation('rename', from, () => {
          const inode = found(from)
          const gone = names.get(to)
          if (gone) gone.names--
          names.delete(from)
          names.set(to, inode)
          renamed.push([
            [from, null],
            [to, inode],
          ])
        }),
      remove: (path) =>
        operation('remove', path, () => {
          found(path).names--
          names.delete(path)
          renamed.push([[path, null]])
        }),
      syncDirectory: (path) =>
        operation('syncdir', path, () => {
          if (!directories.has(path)) throw failure('ENOENT', path)
          for (const changes of renamed.splice(0)) hold(changes)
        }),
    }
  }

  return disk
}
