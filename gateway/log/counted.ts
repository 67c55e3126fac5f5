/** Counts what goes to the disk. */
import type { Files, WritableFile } from './files.ts'

export interface CountedFiles extends Files {
  /** Bytes given to the system so far, whether or not it took them. */
  readonly written: number
}

export function countWrites(files: Files): CountedFiles {
  let written = 0
  const counted = (file: WritableFile): WritableFile => ({
    ...file,
    write(parts, position) {
      for (const part of parts) written += part.length
      return file.write(parts, position)
    },
  })
  return {
    ...files,
    get written() {
      return written
    },
    create: async (path) => counted(await files.create(path)),
    edit: async (path) => counted(await files.edit(path)),
  }
}
