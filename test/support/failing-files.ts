/** The machine's file system, with operations that fail when a test says so. */
import { type Files, realFiles, type WritableFile } from '../../gateway/log/files.ts'

export type Failing = 'create' | 'write' | 'sync' | 'rename' | 'syncdir' | 'mkdir'

export interface FailingFiles extends Files {
  /** The system's code to fail an operation with, or null. */
  fault: (operation: Failing, path: string) => string | null
}

export function createFailingFiles(): FailingFiles {
  const check = (operation: Failing, path: string) => {
    const code = files.fault(operation, path)
    if (code !== null) throw Object.assign(new Error(`${code}: ${operation} ${path}`), { code })
  }
  const failing = (path: string, file: WritableFile): WritableFile => ({
    ...file,
    async write(parts, position) {
      check('write', path)
      await file.write(parts, position)
    },
    async sync() {
      check('sync', path)
      await file.sync()
    },
  })
  const files: FailingFiles = {
    ...realFiles,
    fault: () => null,
    async makeDirectory(path) {
      check('mkdir', path)
      await realFiles.makeDirectory(path)
    },
    async create(path) {
      check('create', path)
      return failing(path, await realFiles.create(path))
    },
    async edit(path) {
      check('create', path)
      return failing(path, await realFiles.edit(path))
    },
    async rename(from, to) {
      check('rename', from)
      await realFiles.rename(from, to)
    },
    async syncDirectory(path) {
      check('syncdir', path)
      await realFiles.syncDirectory(path)
    },
  }
  return files
}
