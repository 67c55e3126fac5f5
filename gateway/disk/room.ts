import { statfsSync } from 'node:fs'

/** Bytes of a file system. */
export interface DiskRoom {
  readonly size: number
  /** For a process without privileges. */
  readonly free: number
}

/** Of the file system that holds the directory; undefined when it does not say. */
export function diskRoom(directory: string): DiskRoom | undefined {
  try {
    const { bsize, blocks, bavail } = statfsSync(directory)
    return { size: bsize * blocks, free: bsize * bavail }
  } catch {
    return undefined
  }
}
