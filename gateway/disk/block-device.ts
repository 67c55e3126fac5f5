/**
 * What Linux says of the disk below a directory: what was written to it, its size, and how worn an eMMC or SD card
 * says that it is. Reads `/sys` only (kernel documentation: block/stat, mmc-dev-attrs).
 */
import { existsSync, readFileSync, realpathSync, statSync } from 'node:fs'
import { basename, dirname, join } from 'node:path'

export interface BlockDevice {
  /** `mmcblk0`, `sda` … */
  readonly name: string
  /** Bytes; undefined when it does not say. */
  readonly size: number | undefined
  /** Bytes written to it since the machine started, by everybody; undefined when it does not say. */
  written(): number | undefined
  /** Share of its life that is used, as the card reports it, in steps of a tenth; undefined when it does not. */
  used(): number | undefined
}

/** `stat` and `size` count in these, whatever the device uses. */
const SECTOR = 512
const SECTORS_WRITTEN = 6

/** The whole disk, not the partition: it is the disk that wears. Undefined when there is none, or it is hidden. */
export function blockDeviceOf(directory: string, root = '/'): BlockDevice | undefined {
  try {
    const partition = folderOf(statSync(directory).dev, root)
    if (partition === undefined) return undefined
    return deviceIn(existsSync(join(partition, 'partition')) ? dirname(partition) : partition)
  } catch {
    return undefined
  }
}

function deviceIn(folder: string): BlockDevice {
  const sectors = numberIn(join(folder, 'size'))
  return {
    name: basename(folder),
    size: sectors === undefined ? undefined : sectors * SECTOR,
    written() {
      const count = Number(textOf(join(folder, 'stat'))?.split(/\s+/)[SECTORS_WRITTEN])
      return Number.isFinite(count) ? count * SECTOR : undefined
    },
    used: () => usedOf(textOf(join(folder, 'device', 'life_time'))),
  }
}

/** `0x03 0x01`: for each kind of cell, 3 is "20 to 30 % used", 0 "not said", 11 "beyond its life" (JESD84-B51, EXT_CSD 268 and 269). */
function usedOf(text: string | undefined): number | undefined {
  const steps = (text?.split(/\s+/) ?? []).map(Number).filter((step) => step > 0)
  return steps.length === 0 ? undefined : Math.min(1, Math.max(...steps) / 10)
}

/** The device's folder in `/sys`. Btrfs and others have numbers of their own: for those the mount says the device. */
function folderOf(device: number, root: string): string | undefined {
  const number = `${(device >>> 8) & 0xfff}:${(device & 0xff) | ((device >>> 12) & 0xfff00)}`
  const direct = join(root, 'sys/dev/block', number)
  if (existsSync(direct)) return realpathSync(direct)
  const mounts = textOf(join(root, 'proc/self/mountinfo'))?.split('\n') ?? []
  const mount = mounts.find((line) => line.split(' ')[2] === number)
  const source = mount?.split(' - ')[1]?.split(' ')[1]
  const named = join(root, 'sys/class/block', basename(source ?? '-'))
  return source?.startsWith('/dev/') && existsSync(named) ? realpathSync(named) : undefined
}

function textOf(file: string): string | undefined {
  try {
    return readFileSync(file, 'latin1').trim()
  } catch {
    return undefined
  }
}

function numberIn(file: string): number | undefined {
  const text = textOf(file)
  return text === undefined || text === '' ? undefined : Number(text)
}
