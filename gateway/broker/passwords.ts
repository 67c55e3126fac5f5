/**
 * The password file: one user per line, `#` begins a comment. The hash is scrypt (RFC 7914) with its parameters, salt
 * and key in base64:
 *
 *     user:scrypt$16384$8$1$c2FsdHNhbHRzYWx0c2E=$a2V5…
 */
import { randomBytes, scrypt, timingSafeEqual } from 'node:crypto'
import { open, readFile, rename, unlink } from 'node:fs/promises'
import { dirname } from 'node:path'
import { reasonOf, StartError } from '../errors.ts'

export interface PasswordHash {
  /** CPU and memory cost, a power of two. */
  readonly cost: number
  readonly blockSize: number
  readonly parallel: number
  readonly salt: Buffer
  readonly key: Buffer
}

const COST = 16_384
const BLOCK_SIZE = 8
const PARALLEL = 1
const SALT_BYTES = 16
const KEY_BYTES = 32
/** A file must not make one log-in cost more memory than this. */
const MAX_MEMORY = 64 * 1024 * 1024

export async function hashPassword(password: string | Uint8Array): Promise<PasswordHash> {
  const parameters = { cost: COST, blockSize: BLOCK_SIZE, parallel: PARALLEL, salt: randomBytes(SALT_BYTES) }
  return { ...parameters, key: await derive(password, parameters, KEY_BYTES) }
}

export async function verifyPassword(password: string | Uint8Array, hash: PasswordHash): Promise<boolean> {
  return timingSafeEqual(await derive(password, hash, hash.key.length), hash.key)
}

function derive(password: string | Uint8Array, hash: Omit<PasswordHash, 'key'>, length: number): Promise<Buffer> {
  const options = { N: hash.cost, r: hash.blockSize, p: hash.parallel, maxmem: 2 * MAX_MEMORY }
  return new Promise((resolve, reject) => {
    scrypt(password, hash.salt, length, options, (error, key) => (error ? reject(error) : resolve(key)))
  })
}

export function formatHash(hash: PasswordHash): string {
  const { cost, blockSize, parallel, salt, key } = hash
  return `scrypt$${cost}$${blockSize}$${parallel}$${salt.toString('base64')}$${key.toString('base64')}`
}

/** null when it is not a hash of ours, or one that costs too much. */
export function parseHash(text: string): PasswordHash | null {
  const parts = text.split('$')
  const [kind, cost, blockSize, parallel] = [parts[0], Number(parts[1]), Number(parts[2]), Number(parts[3])]
  if (
    parts.length !== 6 ||
    kind !== 'scrypt' ||
    ![cost, blockSize, parallel].every((n) => Number.isInteger(n) && n > 0)
  )
    return null
  if (cost < 2 || (cost & (cost - 1)) !== 0 || 128 * cost * blockSize > MAX_MEMORY || parallel > 16) return null
  const salt = Buffer.from(parts[4] as string, 'base64')
  const key = Buffer.from(parts[5] as string, 'base64')
  return salt.length >= 8 && key.length >= 16 && key.length <= 64 ? { cost, blockSize, parallel, salt, key } : null
}

/** A name that can stand in the file. */
export function isUserName(name: string): boolean {
  return name.length > 0 && name.length <= 256 && !/[:\p{Cc}]/u.test(name) && name.trim() === name && name[0] !== '#'
}

/** @throws StartError naming file and line */
export async function readPasswordFile(file: string): Promise<Map<string, PasswordHash>> {
  let text: string
  try {
    text = await readFile(file, 'utf8')
  } catch (error) {
    throw new StartError('SLUICE_PASSWORD_FILE', `cannot read password file ${file}: ${reasonOf(error)}`, {
      cause: error,
    })
  }
  const users = new Map<string, PasswordHash>()
  for (const [index, line] of text.split(/\r?\n/).entries()) {
    if (line.trim() === '' || line.startsWith('#')) continue
    const colon = line.indexOf(':')
    const hash = colon > 0 ? parseHash(line.slice(colon + 1).trim()) : null
    if (!hash || !isUserName(line.slice(0, colon)))
      throw new StartError(
        'SLUICE_PASSWORD_FILE',
        `${file}:${index + 1}: not a line of user:hash; add users with sluice passwd`,
      )
    users.set(line.slice(0, colon), hash)
  }
  return users
}

/** Replaces the file as a whole; readable by its owner only. A crash leaves the old or the new one. */
export async function writePasswordFile(file: string, users: ReadonlyMap<string, PasswordHash>): Promise<void> {
  const text = [...users].map(([user, hash]) => `${user}:${formatHash(hash)}\n`).join('')
  const temporary = `${file}.${randomBytes(6).toString('hex')}.tmp`
  try {
    const handle = await open(temporary, 'w', 0o600)
    try {
      await handle.chmod(0o600)
      await handle.writeFile(text)
      await handle.sync()
    } finally {
      await handle.close()
    }
    await rename(temporary, file)
    await syncDirectory(dirname(file))
  } catch (error) {
    await unlink(temporary).catch(() => {})
    throw new StartError('SLUICE_PASSWORD_FILE', `cannot write password file ${file}: ${reasonOf(error)}`, {
      cause: error,
    })
  }
}

async function syncDirectory(directory: string): Promise<void> {
  const handle = await open(directory, 'r')
  try {
    await handle.sync()
  } finally {
    await handle.close()
  }
}
