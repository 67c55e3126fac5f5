/** Puts a new text in the place of the config file, so that after a crash either the old or the new one is there, whole. */
import { createHash } from 'node:crypto'
import { open, readFile, realpath, rename, rm, stat } from 'node:fs/promises'
import { dirname } from 'node:path'
import { RequestError, reasonOf } from '../errors.ts'

/** Names a text; who changes it says which one they saw. */
export function digestOf(text: string): string {
  return createHash('sha256').update(text).digest('hex').slice(0, 32)
}

/**
 * Keeps the old text beside the file, as `FILE.before`, and resolves with that name.
 *
 * @throws RequestError 409 the file cannot be replaced
 */
export async function saveConfig(file: string, text: string): Promise<string> {
  try {
    const path = await realpath(file)
    const backup = `${path}.before`
    const { mode } = await stat(path)
    await replace(backup, await readFile(path), mode)
    await replace(path, Buffer.from(text), mode)
    return backup
  } catch (error) {
    const message = `${file} cannot be replaced (${reasonOf(error)}): change it where it comes from, then send SIGHUP`
    throw new RequestError(409, 'SLUICE_CONFIG_READONLY', message, { cause: error })
  }
}

/** Takes a save back. */
export async function restoreConfig(file: string, text: string): Promise<void> {
  const path = await realpath(file)
  await replace(path, Buffer.from(text), (await stat(path)).mode)
}

async function replace(path: string, content: Buffer, mode: number): Promise<void> {
  const fresh = `${path}.new`
  await rm(fresh, { force: true })
  const file = await open(fresh, 'wx', mode & 0o777)
  try {
    await file.writeFile(content)
    await file.sync()
  } finally {
    await file.close()
  }
  await rename(fresh, path)
  const directory = await open(dirname(path), 'r')
  await directory.sync().finally(() => directory.close())
}
