/**
 * Who is it? A verified password is remembered under a keyed hash, so that a sensor that connects for every message
 * pays for scrypt once; failed log-ins are counted per address, and too many are refused unseen.
 */
import { createHmac, randomBytes } from 'node:crypto'
import type { Clock } from '../clock.ts'
import type { Arrival } from './connection.ts'
import type { BrokerLimits } from './options.ts'
import { type PasswordHash, parseHash, verifyPassword } from './passwords.ts'
import { BAD_CREDENTIALS, NOT_AUTHORIZED, UNAVAILABLE } from './reasons.ts'

export type Verdict =
  | { readonly ok: true; readonly user: string | undefined }
  | {
      readonly ok: false
      readonly code: typeof UNAVAILABLE | typeof BAD_CREDENTIALS | typeof NOT_AUTHORIZED
      readonly reason: string
    }

const MAX_REMEMBERED = 10_000
const MAX_ADDRESSES = 10_000
/** Verifications at a time, and waiting: each takes 16 MB and a thread that the disk needs too. */
const MAX_RUNNING = 2
const MAX_WAITING = 200
/** ms over which failed log-ins are counted. */
const FAILURE_WINDOW = 60_000

/** Verified against when the user is unknown, so that the time it takes does not tell. */
const NOBODY = 'scrypt$16384$8$1$bm9ib2R5bm9ib2R5bm8$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA='

interface Failures {
  count: number
  /** Monotonic ms. */
  readonly until: number
}

export class Authentication {
  readonly #clock: Clock
  readonly #limits: BrokerLimits
  readonly #key = randomBytes(32)
  readonly #nobody = parseHash(NOBODY)
  readonly #remembered = new Map<string, string>()
  readonly #failures = new Map<string, Failures>()
  readonly #waiting: (() => void)[] = []
  #running = 0
  #users: ReadonlyMap<string, PasswordHash> | undefined

  /** @param users undefined: no credentials are configured */
  constructor(clock: Clock, limits: BrokerLimits, users: ReadonlyMap<string, PasswordHash> | undefined) {
    this.#clock = clock
    this.#limits = limits
    this.#users = users
  }

  isUser(name: string): boolean {
    return this.#users?.has(name) === true
  }

  replaceUsers(users: ReadonlyMap<string, PasswordHash> | undefined): void {
    this.#users = users
    this.#remembered.clear()
  }

  async verify(arrival: Arrival, user: string | undefined, password: Buffer | undefined): Promise<Verdict> {
    if (arrival.certificateUser !== undefined) return { ok: true, user: arrival.certificateUser }
    if (user === undefined || this.#users === undefined) {
      // A name that nobody vouches for is no name.
      if (arrival.mayBeAnonymous) return { ok: true, user: undefined }
      return { ok: false, code: NOT_AUTHORIZED, reason: 'credentials_missing' }
    }
    const given = password ?? Buffer.alloc(0)
    const token = this.#token(user, given)
    if (this.#remembered.has(token)) return { ok: true, user }
    if (this.#hasFailedTooOften(arrival.address)) return { ok: false, code: NOT_AUTHORIZED, reason: 'login_rate' }
    if (this.#running >= MAX_RUNNING && this.#waiting.length >= MAX_WAITING)
      return { ok: false, code: UNAVAILABLE, reason: 'login_busy' }
    return this.#verifyNew(arrival, user, given, token)
  }

  async #verifyNew(arrival: Arrival, user: string, password: Buffer, token: string): Promise<Verdict> {
    const hash = this.#users?.get(user)
    const right = await this.#inTurn(token, () => verify(password, hash ?? this.#nobody))
    if (!hash || !right || this.#users?.get(user) !== hash) {
      this.#countFailure(arrival.address)
      return { ok: false, code: BAD_CREDENTIALS, reason: 'bad_credentials' }
    }
    if (this.#remembered.size >= MAX_REMEMBERED) this.#remembered.delete(this.#remembered.keys().next().value ?? '')
    this.#remembered.set(token, user)
    return { ok: true, user }
  }

  async #inTurn(token: string, verification: () => Promise<boolean>): Promise<boolean> {
    if (this.#running >= MAX_RUNNING) await new Promise<void>((resolve) => this.#waiting.push(resolve))
    else this.#running++
    try {
      // A storm of one sensor's connections: the first has been verified while the others waited.
      return this.#remembered.has(token) || (await verification())
    } finally {
      const next = this.#waiting.shift()
      if (next) next()
      else this.#running--
    }
  }

  #token(user: string, password: Buffer): string {
    return createHmac('sha256', this.#key).update(`${user.length}:${user}`).update(password).digest('base64')
  }

  #hasFailedTooOften(address: string): boolean {
    const failures = this.#failures.get(address)
    if (failures && this.#clock.monotonic() >= failures.until) this.#failures.delete(address)
    return failures !== undefined && this.#failures.has(address) && failures.count >= this.#limits.failedLogins
  }

  #countFailure(address: string): void {
    const failures = this.#failures.get(address)
    if (failures && this.#clock.monotonic() < failures.until) {
      failures.count++
      return
    }
    this.#failures.delete(address)
    if (this.#failures.size >= MAX_ADDRESSES) this.#failures.delete(this.#failures.keys().next().value ?? '')
    this.#failures.set(address, { count: 1, until: this.#clock.monotonic() + FAILURE_WINDOW })
  }
}

async function verify(password: Buffer, hash: PasswordHash | null): Promise<boolean> {
  return hash !== null && (await verifyPassword(password, hash))
}
