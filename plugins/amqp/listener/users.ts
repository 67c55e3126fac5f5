/**
 * Who is it, and what may they do? Passwords stand in the config, or in a file of lines as the `sluice passwd` command
 * writes them: scrypt (RFC 7914) with its parameters, salt and key in base64.
 *
 *     user:scrypt$16384$8$1$c2FsdHNhbHRzYWx0c2E=$a2V5…
 *
 * The file is read again when it has changed. A verified password is remembered under a keyed hash, so that a device
 * that connects for every message pays once.
 */
import { createHmac, randomBytes, scrypt, timingSafeEqual } from 'node:crypto'
import { readFile, stat } from 'node:fs/promises'
import { NotConnectedError } from '../../../gateway/errors.ts'
import type { PluginContext } from '../../../gateway/plugin.ts'
import { covers, type ListenConfig } from '../config.ts'

/** undefined: anonymous, admitted because the listener is loopback or declared open. */
export type Identity = string | undefined

export interface Users {
  /** Somebody could log in with a password. */
  readonly configured: boolean
  /** @returns false: not this user's password, or too many attempts */
  verify(address: string, user: string, password: Buffer): Promise<boolean>
  mayPublish(identity: Identity, topic: string): boolean
  mayBeCommanded(identity: Identity, device: string): boolean
}

interface Hash {
  readonly cost: number
  readonly blockSize: number
  readonly parallel: number
  readonly salt: Buffer
  readonly key: Buffer
}

interface Failures {
  count: number
  /** Monotonic ms. */
  readonly until: number
}

const MAX_MEMORY = 64 * 1024 * 1024
const MAX_REMEMBERED = 10_000
/** Failed log-ins of one address in `FAILURE_WINDOW` ms, then refused unseen. */
const MAX_FAILURES = 20
const FAILURE_WINDOW = 60_000
const MAX_ADDRESSES = 10_000
/** Each takes 16 MB and a thread that the disk needs too; the others wait, at most so many. */
const MAX_RUNNING = 2
const MAX_WAITING = 200
/** Stands in for users that are not there, so that the time it takes does not tell. */
const NOBODY: Hash = {
  cost: 16_384,
  blockSize: 8,
  parallel: 1,
  salt: Buffer.from('nobodynobodynobo'),
  key: Buffer.alloc(32),
}

export function createUsers(config: ListenConfig, context: PluginContext): Users {
  const secret = randomBytes(32)
  const remembered = new Set<string>()
  const failures = new Map<string, Failures>()
  const waiting: (() => void)[] = []
  let running = 0
  let file: { readonly changed: number; readonly hashes: ReadonlyMap<string, Hash> } | undefined

  const keyed = (text: string | Buffer) => createHmac('sha256', secret).update(text).digest()

  const hashes = async (): Promise<ReadonlyMap<string, Hash>> => {
    if (config.passwordFile === undefined) return new Map()
    const path = context.path(config.passwordFile)
    const { mtimeMs } = await stat(path).catch((cause: unknown) => {
      throw new NotConnectedError('SLUICE_UNREADABLE_FILE', `cannot read ${path}`, { cause })
    })
    if (file?.changed === mtimeMs) return file.hashes
    file = { changed: mtimeMs, hashes: parsePasswordFile(await readFile(path, 'utf8')) }
    remembered.clear()
    return file.hashes
  }

  const failedTooOften = (address: string): boolean => {
    const found = failures.get(address)
    if (found && context.clock.monotonic() >= found.until) failures.delete(address)
    return (failures.get(address)?.count ?? 0) >= MAX_FAILURES
  }

  const fail = (address: string): false => {
    const found = failures.get(address)
    if (found) found.count++
    else {
      if (failures.size >= MAX_ADDRESSES) failures.delete(failures.keys().next().value ?? '')
      failures.set(address, { count: 1, until: context.clock.monotonic() + FAILURE_WINDOW })
    }
    context.metrics.count('failed_logins')
    return false
  }

  const inTurn = async (work: () => Promise<boolean>): Promise<boolean> => {
    if (running >= MAX_RUNNING) {
      if (waiting.length >= MAX_WAITING) return false
      await new Promise<void>((resolve) => waiting.push(resolve))
    } else running++
    try {
      return await work()
    } finally {
      const next = waiting.shift()
      if (next) next()
      else running--
    }
  }

  return {
    configured: config.passwordFile !== undefined || Object.keys(config.users).length > 0,

    async verify(address, user, password) {
      const known = await hashes()
      const token = keyed(`${user.length}:${user}${password.toString('latin1')}`).toString('base64')
      if (remembered.has(token)) return true
      if (failedTooOften(address)) return fail(address)
      const inline = Object.hasOwn(config.users, user) ? config.users[user]?.password : undefined
      if (inline !== undefined) return timingSafeEqual(keyed(inline), keyed(password)) || fail(address)
      const hash = known.get(user)
      const right = await inTurn(async () => remembered.has(token) || matches(password, hash ?? NOBODY))
      if (!right || !hash) return fail(address)
      if (remembered.size >= MAX_REMEMBERED) remembered.clear()
      remembered.add(token)
      return true
    },

    mayPublish(identity, topic) {
      if (identity === undefined || !Object.hasOwn(config.users, identity)) return true
      const allowed = config.users[identity]?.publish
      return allowed === undefined || covers(allowed, topic)
    },

    mayBeCommanded(identity, device) {
      if (identity === undefined) return true
      const allowed = Object.hasOwn(config.users, identity) ? config.users[identity]?.command : undefined
      return allowed === undefined ? device === identity : covers(allowed, device)
    },
  }
}

/** Lines that are not of our form are no users. */
export function parsePasswordFile(text: string): Map<string, Hash> {
  const users = new Map<string, Hash>()
  for (const line of text.split(/\r?\n/)) {
    if (line.startsWith('#')) continue
    const colon = line.indexOf(':')
    const hash = colon > 0 ? parseHash(line.slice(colon + 1).trim()) : undefined
    if (hash) users.set(line.slice(0, colon), hash)
  }
  return users
}

function parseHash(text: string): Hash | undefined {
  const [kind, ...rest] = text.split('$')
  const [cost = 0, blockSize = 0, parallel = 0] = rest.slice(0, 3).map(Number)
  if (kind !== 'scrypt' || rest.length !== 5) return undefined
  if (![cost, blockSize, parallel].every((n) => Number.isInteger(n) && n > 0)) return undefined
  if (cost < 2 || (cost & (cost - 1)) !== 0 || 128 * cost * blockSize > MAX_MEMORY || parallel > 16) return undefined
  const [salt, key] = rest.slice(3).map((part) => Buffer.from(part, 'base64')) as [Buffer, Buffer]
  return salt.length >= 8 && key.length >= 16 && key.length <= 64 ? { cost, blockSize, parallel, salt, key } : undefined
}

function matches(password: Buffer, { cost, blockSize, parallel, salt, key }: Hash): Promise<boolean> {
  const options = { N: cost, r: blockSize, p: parallel, maxmem: 2 * MAX_MEMORY }
  return new Promise((resolve, reject) => {
    scrypt(password, salt, key.length, options, (error, derived) =>
      error ? reject(error) : resolve(timingSafeEqual(derived, key)),
    )
  })
}
