/**
 * `<data>/runtime.json`: how the command line finds the gateway that runs on a data directory. Readable by the gateway's
 * user only, because it holds the secret that lets the command line in without the configured token.
 */
import { randomBytes } from 'node:crypto'
import { chmod, readFile, rename, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { z } from 'zod'
import { newerData, reasonOf, SluiceError, StartError } from '../errors.ts'
import { NOT_RUNNING } from './exit-codes.ts'

const VERSION = 1

const runtimeSchema = z.object({
  /** The first builds wrote none. */
  v: z.number().int().default(VERSION),
  pid: z.number().int(),
  /** ISO 8601. */
  started: z.string(),
  ports: z.record(z.string(), z.number().int()),
  http: z
    .object({
      address: z.string(),
      port: z.number().int(),
      /** See `access.ts`. */
      secret: z.string(),
      /** SHA-256 of the TLS certificate, hexadecimal; absent without TLS. */
      fingerprint: z.string().optional(),
    })
    .optional(),
})

export type Runtime = Omit<z.infer<typeof runtimeSchema>, 'v'>

/** A new secret for the local command line. */
export function createSecret(): string {
  return randomBytes(24).toString('base64url')
}

export function runtimeFile(data: string): string {
  return join(data, 'runtime.json')
}

/** Replaces the file in one step; nobody else can read it at any moment. */
export async function writeRuntime(data: string, runtime: Runtime): Promise<void> {
  const file = runtimeFile(data)
  const draft = `${file}.new`
  await rm(draft, { force: true })
  await writeFile(draft, `${JSON.stringify({ v: VERSION, ...runtime })}\n`, { mode: 0o600, flag: 'wx' })
  await chmod(draft, 0o600)
  await rename(draft, file)
}

/** When the gateway stops. */
export async function removeRuntime(data: string): Promise<void> {
  await rm(runtimeFile(data), { force: true })
}

/** @throws SluiceError SLUICE_NOT_RUNNING, StartError SLUICE_NEWER_DATA a newer gateway runs there */
export async function readRuntime(data: string): Promise<Runtime> {
  try {
    const found = JSON.parse(await readFile(runtimeFile(data), 'utf8'))
    if (found?.v > VERSION) throw newerData(runtimeFile(data), found.v, VERSION)
    return runtimeSchema.parse(found)
  } catch (error) {
    if (error instanceof StartError) throw error
    const code = (error as NodeJS.ErrnoException).code
    if (code === 'EACCES') {
      const message = `may not read ${runtimeFile(data)}: ask as the user the gateway runs as`
      throw new SluiceError('SLUICE_RUNTIME_FILE', message, { cause: error })
    }
    const why = code === 'ENOENT' ? '' : `: runtime.json is not readable: ${reasonOf(error)}`
    throw new SluiceError(NOT_RUNNING, `no gateway runs on ${data}${why}`, { cause: error })
  }
}
