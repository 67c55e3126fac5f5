/** A file system of its own on a loop device (root only), whose block counters show every byte that reaches the "card". */
import { execFileSync } from 'node:child_process'
import { closeSync, mkdirSync, openSync, readFileSync, writeSync } from 'node:fs'
import { join } from 'node:path'
import { temporaryFolder } from './process.ts'

const SECTOR = 512
const SECTORS_WRITTEN = 6
const SIZE = 1 << 30

export interface LoopDisk {
  readonly path: string
  /** Bytes that the device has written so far, the file system's own included. */
  written(): number
  /** Writes what the file system still holds back, so that it is not counted later. */
  settle(): void
  remove(): void
}

function run(command: string, ...args: string[]): string {
  return execFileSync(command, args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] }).trim()
}

/** An ext4 as `mkfs.ext4` makes it, but for `features`. Undefined where loop devices may not be used. */
export function createLoopDisk(features: readonly string[] = []): LoopDisk | undefined {
  const folder = temporaryFolder()
  const image = join(folder.path, 'image')
  const path = join(folder.path, 'mount')
  let device: string | undefined
  try {
    const fd = openSync(image, 'w')
    writeSync(fd, Buffer.alloc(1), 0, 1, SIZE - 1)
    closeSync(fd)
    mkdirSync(path)
    // No background work of the file system's while it is measured.
    const options = features.length > 0 ? ['-O', features.join(',')] : []
    run('mkfs.ext4', '-q', '-E', 'lazy_itable_init=0,lazy_journal_init=0', ...options, image)
    device = run('losetup', '--find', '--show', image)
    run('mount', device, path)
  } catch {
    if (device !== undefined) run('losetup', '--detach', device)
    folder.remove()
    return undefined
  }
  const name = device.replace('/dev/', '')
  return {
    path,
    written: () =>
      Number(readFileSync(`/sys/block/${name}/stat`, 'latin1').trim().split(/\s+/)[SECTORS_WRITTEN]) * SECTOR,
    settle: () => void run('sync', '-f', path),
    remove() {
      run('umount', path)
      run('losetup', '--detach', `/dev/${name}`)
      folder.remove()
    },
  }
}
