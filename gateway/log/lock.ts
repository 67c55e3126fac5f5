/**
 * One gateway per data directory.
 *
 * The lock is a file that holds who made it: process id, when that process started, and which boot of the machine.
 * It is linked into place whole, so nobody ever reads half of one. A lock whose process is gone is stale; a process id
 * that was given to another process shows in the start time, a restart of the machine in the boot's id.
 *
 * Two that find the same stale lock must not both replace it. Whoever wants to takes a guard first, a lock of the same
 * kind whose name is derived from the stale one's content, and looks again under it: only its holder may replace that
 * very lock. A guard whose holder died is stale in turn, and its name differs each time, so this ends.
 *
 * Processes of different containers or machines do not see each other: a data directory belongs to one of them.
 */
import { createHash, randomBytes } from 'node:crypto'
import * as fs from 'node:fs'
import { join } from 'node:path'
import { reasonOf, StartError } from '../errors.ts'
import { codeOf } from './files.ts'

/** Who is running, as far as the operating system says. */
export interface Processes {
  /** Identity of this process, one line. */
  readonly self: string
  /** Whether the process that gave this identity still runs. */
  alive(identity: string): boolean
}

export interface DirectoryLock {
  /** Why the lock is not held: a disk that is full or read-only, or somebody deleted it; undefined while it is held. */
  readonly missing: string | undefined
  /** Looks whether it is still held, and tries to take one that is missing. True when it is held now. */
  retake(): boolean
  release(): void
}

/** A lock that cannot be written for these is done without: a full disk must not keep the gateway from starting. */
const DONE_WITHOUT = ['ENOSPC', 'EDQUOT', 'EROFS']

/** Start time of a process in clock ticks since boot (proc(5), stat, field 22); null when there is none. */
function startOf(pid: number): string | null {
  try {
    const stat = fs.readFileSync(`/proc/${pid}/stat`, 'latin1')
    // The name in parentheses may hold anything, so count from its end.
    return stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19] ?? null
  } catch {
    return null
  }
}

function bootId(): string {
  try {
    return fs.readFileSync('/proc/sys/kernel/random/boot_id', 'latin1').trim()
  } catch {
    return '-'
  }
}

/** The processes of this machine. */
export function systemProcesses(): Processes {
  const boot = bootId()
  return {
    self: `${process.pid} ${startOf(process.pid) ?? '-'} ${boot}`,
    alive(identity) {
      const [pid, start, bootThen] = identity.split(' ')
      if (!pid || !start || bootThen !== boot) return false
      if (boot !== '-') return startOf(Number(pid)) === start
      try {
        process.kill(Number(pid), 0)
        return true
      } catch (error) {
        return codeOf(error) === 'EPERM'
      }
    },
  }
}

/**
 * Takes the lock of a data directory. When the disk is full or read-only nothing can be written, the lock neither: then
 * it is only looked whether another gateway holds it.
 *
 * @throws StartError SLUICE_DATA_LOCKED while another gateway runs on it, SLUICE_DATA_UNWRITABLE when it cannot be taken
 */
export function lockDirectory(directory: string, processes: Processes = systemProcesses()): DirectoryLock {
  const path = join(directory, 'lock')
  // Two locks of one process differ.
  const content = `${processes.self} ${randomBytes(8).toString('hex')}\n`
  let missing: string | undefined
  const holder = (): string | null => {
    try {
      fs.mkdirSync(directory, { recursive: true, mode: 0o750 })
      const found = take(path, content, processes)
      missing = undefined
      return found
    } catch (error) {
      const reason = `cannot lock data directory ${directory}: ${reasonOf(error)}`
      if (!DONE_WITHOUT.includes(codeOf(error)) || !fs.existsSync(directory))
        throw new StartError('SLUICE_DATA_UNWRITABLE', reason, { cause: error })
      missing = reason
      const found = read(path)
      return found !== null && processes.alive(found) ? found : null
    }
  }
  const found = holder()
  if (found !== null) {
    const pid = found.split(' ')[0]
    throw new StartError('SLUICE_DATA_LOCKED', `data directory ${directory} is in use by process ${pid}`)
  }
  return {
    get missing() {
      return missing
    },
    retake() {
      try {
        if (read(path) === content) missing = undefined
        else if (holder() !== null) missing = `another gateway has locked ${directory} meanwhile`
      } catch (error) {
        missing = reasonOf(error)
      }
      return missing === undefined
    },
    release() {
      if (read(path) === content) fs.rmSync(path, { force: true })
    },
  }
}

/** Makes `path` hold `content`; the content of whoever holds it and lives, else null. */
function take(path: string, content: string, processes: Processes): string | null {
  for (;;) {
    if (publish(path, content)) return null
    const found = read(path)
    // Released in between.
    if (found === null) continue
    if (processes.alive(found)) return found
    const guard = `${path}.${createHash('sha256').update(found).digest('hex').slice(0, 12)}`
    const rival = take(guard, content, processes)
    if (rival !== null) return rival
    try {
      if (read(path) !== found) continue
      replace(path, content)
      return null
    } finally {
      fs.rmSync(guard, { force: true })
    }
  }
}

/** A file with `content` under a name of its own, for as long as `use` runs. */
function withContent<T>(path: string, content: string, use: (own: string) => T): T {
  const own = `${path}.${process.pid}-${randomBytes(6).toString('hex')}`
  try {
    fs.writeFileSync(own, content, { flag: 'wx', flush: true })
    return use(own)
  } finally {
    fs.rmSync(own, { force: true })
  }
}

/** False when `path` is there already. */
function publish(path: string, content: string): boolean {
  return withContent(path, content, (own) => {
    try {
      fs.linkSync(own, path)
    } catch (error) {
      if (codeOf(error) === 'EEXIST') return false
      if (!['EPERM', 'ENOSYS', 'ENOTSUP', 'EOPNOTSUPP'].includes(codeOf(error))) throw error
      return copy(own, path)
    }
    return true
  })
}

/** For file systems without links (FAT): not whole at once, but never over another. */
function copy(own: string, path: string): boolean {
  try {
    fs.copyFileSync(own, path, fs.constants.COPYFILE_EXCL)
    return true
  } catch (error) {
    if (codeOf(error) === 'EEXIST') return false
    throw error
  }
}

function replace(path: string, content: string): void {
  withContent(path, content, (own) => fs.renameSync(own, path))
}

function read(path: string): string | null {
  try {
    return fs.readFileSync(path, 'latin1')
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return null
    throw error
  }
}
