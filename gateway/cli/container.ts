/**
 * A container that was started without a config. A loopback listener in it reaches nobody, and one that everybody reaches
 * needs credentials: so it listens on all addresses, with a user, a password and an API token that are made at the first
 * start and kept beside the data.
 *
 *   <data>/access/credentials.json    what was made, in clear text, for whoever owns the volume
 *   <data>/access/passwords           the same password, as the broker reads it
 *   <data>/access/token               the same token, as the HTTP server reads it
 *
 * The gateway's name is kept too: a container's host name changes whenever it is made anew.
 */
import { randomBytes } from 'node:crypto'
import { link, mkdir, open, readFile, rename, rm, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { z } from 'zod'
import { hashPassword, writePasswordFile } from '../broker/passwords.ts'
import { reasonOf, StartError } from '../errors.ts'

/** Where the image has its volume. */
export const CONTAINER_DATA = '/data'

const credentialsSchema = z.object({
  gateway: z.string(),
  user: z.string(),
  password: z.string(),
  token: z.string(),
})

type Credentials = z.infer<typeof credentialsSchema>
type Environment = Readonly<Record<string, string | undefined>>

export interface ContainerDefaults {
  /** `SLUICE__` variables to put under those that are given. */
  readonly env: Readonly<Record<string, string>>
  /** What a person must be told, once and line by line: only the start that made the credentials has it. */
  readonly notice?: readonly string[]
}

/** True for the images: their Dockerfile says so. */
export function inContainer(env: Environment): boolean {
  return env.SLUICE_CONTAINER === '1'
}

/**
 * What stands in for the config. A section that the environment gives as a whole, or whose access it settles, is left alone.
 *
 * @throws StartError the data directory cannot be written, or its credentials cannot be read
 */
export async function containerDefaults(data: string, env: Environment): Promise<ContainerDefaults> {
  const given = new Set(Object.entries(env).flatMap(([name, value]) => (value ? [plain(name)] : [])))
  const folder = join(data, 'access')
  const { credentials, made } = await credentialsIn(folder)
  const defaults: Record<string, string> = {}
  const propose = (name: string, value: string, instead: readonly string[] = []) => {
    const [, section = ''] = name.split('__')
    const taken = [name, `SLUICE__${section}`, ...instead].some((other) => given.has(plain(other)))
    if (!taken) defaults[name] = JSON.stringify(value)
  }
  propose('SLUICE__GATEWAY__ID', credentials.gateway)
  propose('SLUICE__MQTT__LISTEN', '0.0.0.0:1883')
  propose('SLUICE__MQTT__PASSWORDFILE', join(folder, 'passwords'), ['SLUICE__MQTT__ANONYMOUS'])
  propose('SLUICE__HTTP__LISTEN', '0.0.0.0:8080')
  propose('SLUICE__HTTP__TOKENFILE', join(folder, 'token'), ['SLUICE__HTTP__TOKEN'])
  return { env: defaults, ...(made ? { notice: noticeOf(credentials, folder) } : {}) }
}

/** As the overrides are read: in any case, dashes and underscores within a name do not count. */
function plain(name: string): string {
  return name
    .toLowerCase()
    .split('__')
    .map((part) => part.replaceAll('_', ''))
    .join('__')
}

/** Lines of a JSON log: without quotes and backslashes a command can be pasted from there as it stands. */
function noticeOf({ user, password, token }: Credentials, folder: string): string[] {
  return [
    `first start without a config: user ${user}, password ${password}, API token ${token}; kept in ${folder}, not shown again`,
    `publish: mosquitto_pub -h localhost -u ${user} -P ${password} -q 1 -t telemetry/pump-3 -m 21.5`,
    `read: curl -H 'Authorization: Bearer ${token}' http://localhost:8080/api/devices/pump-3`,
    'dashboard: http://localhost:8080 asks for the API token; from another machine this one is not localhost',
  ]
}

async function credentialsIn(folder: string): Promise<{ credentials: Credentials; made: boolean }> {
  const file = join(folder, 'credentials.json')
  try {
    const made = await makeOnce(folder, file)
    const credentials = credentialsSchema.parse(JSON.parse(await readFile(file, 'utf8')))
    await completeFiles(folder, credentials)
    return { credentials, made }
  } catch (error) {
    if (error instanceof StartError) throw error
    const message = `container: cannot keep credentials in ${folder}: ${reasonOf(error)}`
    throw new StartError('SLUICE_CONTAINER_ACCESS', message, { cause: error })
  }
}

/** True when it made them. Of two processes that start at once, one does; a crash leaves all or nothing. */
async function makeOnce(folder: string, file: string): Promise<boolean> {
  if (await exists(file)) return false
  await mkdir(folder, { recursive: true, mode: 0o700 })
  const draft = draftOf(file)
  await writeDurably(draft, `${JSON.stringify(newCredentials(), null, 2)}\n`)
  try {
    await link(draft, file)
    return true
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'EEXIST') return false
    throw error
  } finally {
    await rm(draft, { force: true })
  }
}

function newCredentials(): Credentials {
  return {
    gateway: `sluice-${randomBytes(3).toString('hex')}`,
    user: 'sluice',
    // Hexadecimal: it can be typed, and no shell takes it apart.
    password: randomBytes(12).toString('hex'),
    token: randomBytes(24).toString('hex'),
  }
}

/** What a crash of the first start may have left out; a password that was changed stays. */
async function completeFiles(folder: string, { user, password, token }: Credentials): Promise<void> {
  const passwords = join(folder, 'passwords')
  if (!(await exists(passwords))) await writePasswordFile(passwords, new Map([[user, await hashPassword(password)]]))
  const tokens = join(folder, 'token')
  if (await exists(tokens)) return
  const draft = draftOf(tokens)
  await writeDurably(draft, `${token}\n`)
  await rename(draft, tokens)
}

/** A name of its own: two that start at once share none. */
function draftOf(file: string): string {
  return `${file}.${randomBytes(6).toString('hex')}.new`
}

async function writeDurably(file: string, text: string): Promise<void> {
  const handle = await open(file, 'w', 0o600)
  try {
    await handle.writeFile(text)
    await handle.sync()
  } finally {
    await handle.close()
  }
}

async function exists(file: string): Promise<boolean> {
  return stat(file).then(
    () => true,
    () => false,
  )
}
