/**
 * Who is signed in on the dashboard. A browser that has shown the token once gets a random id as a cookie instead, so
 * that no script can read either. Sessions live in memory: a restart, a changed token or twelve hours end them.
 */
import { createHash, randomBytes, timingSafeEqual } from 'node:crypto'
import type { Clock } from '../clock.ts'

export interface Sessions {
  /** A new session's id. */
  open(token: string): string
  /** For which of these tokens the id was given; undefined when it is over, or for none of them. */
  tokenOf(id: string, tokens: readonly string[]): string | undefined
  close(id: string): void
}

/** Seconds. */
export const SESSION_LENGTH = 12 * 3600
const MAX_SESSIONS = 256

interface Session {
  readonly token: Buffer
  /** Monotonic ms. */
  readonly until: number
}

export function createSessions(clock: Clock): Sessions {
  const sessions = new Map<string, Session>()
  return {
    open(token) {
      const id = randomBytes(24).toString('base64url')
      const [oldest] = sessions.keys()
      if (sessions.size >= MAX_SESSIONS && oldest !== undefined) sessions.delete(oldest)
      sessions.set(keyOf(id), { token: digest(token), until: clock.monotonic() + SESSION_LENGTH * 1000 })
      return id
    },
    tokenOf(id, tokens) {
      const session = sessions.get(keyOf(id))
      if (session === undefined) return undefined
      const token = tokens.find((one) => timingSafeEqual(session.token, digest(one)))
      if (session.until > clock.monotonic() && token !== undefined) return token
      sessions.delete(keyOf(id))
      return undefined
    },
    close: (id) => void sessions.delete(keyOf(id)),
  }
}

/** Looked up by digest, so that the time it takes tells nothing of the ids there are. */
function keyOf(id: string): string {
  return digest(id).toString('base64')
}

function digest(text: string): Buffer {
  return createHash('sha256').update(text).digest()
}
