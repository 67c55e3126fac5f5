/**
 * From a CONNECT to its CONNACK: who is it, whose connection does it take over, which session has it.
 *
 *     CONNECT ─▶ log-in ─▶ take-over ─▶ session ─▶ CONNACK ─▶ what waits for it
 */
import { randomBytes } from 'node:crypto'
import { reasonOf } from '../errors.ts'
import type { PluginLog } from '../plugin.ts'
import { permissionsFor } from './acl.ts'
import type { Authentication } from './authentication.ts'
import { type Connection, HANDSHAKE } from './connection.ts'
import type { Counters } from './counters.ts'
import type { Guard } from './guard.ts'
import type { BrokerLimits, BrokerOptions } from './options.ts'
import { encodeRefusal, encodeWelcome } from './packets/connack.ts'
import type { Connect } from './packets/connect.ts'
import type { RareLog } from './rare-log.ts'
import { BAD_AUTHENTICATION_METHOD, BAD_CLIENT_ID, TAKEN_OVER, UNAVAILABLE } from './reasons.ts'
import { Aliases } from './session.ts'
import type { Sessions } from './sessions.ts'

interface HandshakeParts<Route> {
  readonly sessions: Sessions
  readonly authentication: Authentication
  readonly guard: Guard<Route>
  readonly counters: Counters
  readonly rareLog: RareLog
  readonly log: PluginLog
  readonly limits: BrokerLimits
  options(): BrokerOptions
  find(client: string): Connection<Route> | undefined
  /** Calls back when the journal has `entry`, and `session`: when what was recorded of sessions is durable; at once if they do. */
  whenKept(entry: number, session: boolean, callback: () => void): void
  /** The client is in, and is not read yet. */
  welcomed(connection: Connection<Route>): void
  /** It is read, and may be sent what waits for it. */
  resumed(connection: Connection<Route>): void
}

/** Topic aliases that a client may use. */
export const CLIENT_ALIASES = 64
/** Topic aliases towards a client, however many it takes. */
const MOST_ALIASES = 256

export class Handshake<Route> {
  readonly #parts: HandshakeParts<Route>

  constructor(parts: HandshakeParts<Route>) {
    this.#parts = parts
  }

  /** A CONNECT has come. */
  begin(connection: Connection<Route>, connect: Connect): void {
    // Logging in by AUTH packets is not offered (MQTT 5 section 4.12).
    if (connect.enhanced) this.#refuse(connection, connect, 'authentication_method', BAD_AUTHENTICATION_METHOD)
    // MQTT 3.1.1: an empty id is for clean sessions only (MQTT-3.1.3-8), MQTT 3.1: not allowed.
    else if (connect.client === '' && (connect.version === 3 || (connect.version === 4 && !connect.clean)))
      this.#refuse(connection, connect, 'client_id', BAD_CLIENT_ID)
    else
      this.#verify(connection, connect).catch((error: unknown) => {
        this.#parts.log.error({ reason: reasonOf(error) }, 'log-in could not be checked')
        this.#refuse(connection, connect, 'login_failed', UNAVAILABLE)
      })
  }

  async #verify(connection: Connection<Route>, connect: Connect): Promise<void> {
    const verdict = await this.#parts.authentication.verify(connection.arrival, connect.user, connect.password)
    if (connection.state !== HANDSHAKE) return
    if (!verdict.ok) {
      this.#refuse(connection, connect, verdict.reason, verdict.code)
      return
    }
    const client = connect.client || `sluice-${randomBytes(12).toString('hex')}`
    connection.identity = { client, user: verdict.user, address: connection.arrival.address }
    connection.judge(permissionsFor(this.#parts.options().acl, verdict.user, client), this.#parts.options())
    this.#takeOver(connection)
    this.#welcome(connection, connect)
  }

  /** A second connection with a client id ends the first (MQTT-3.1.4-3; 3.1.1: -2). */
  #takeOver(connection: Connection<Route>): void {
    const { client, address } = connection.identity
    const old = this.#parts.find(client)
    if (!old) return
    this.#parts.counters.refuse('taken_over')
    const fields = { client, address, previous: old.identity.address }
    this.#parts.rareLog.warn(`taken_over ${client}`, fields, 'mqtt client id taken over by another connection')
    this.#parts.guard.dismiss(old, TAKEN_OVER)
  }

  #welcome(connection: Connection<Route>, connect: Connect): void {
    const { limits, sessions, guard } = this.#parts
    const { client } = connection.identity
    const sessionExpiry = Math.min(connect.sessionExpiry, limits.sessionExpiry)
    const keepalive =
      connect.version === 5 ? keepaliveOf(connect.keepalive, limits.keepalive / 1000) : connect.keepalive
    connection.keepalive = keepalive * 1000
    connection.receiveMaximum = connect.receiveMaximum
    connection.maximumPacket = connect.maximumPacket
    if (connect.aliasMaximum > 0) connection.aliases = new Aliases(Math.min(connect.aliasMaximum, MOST_ALIASES))
    const { session, present, entry } = sessions.open(client, { ...connect, sessionExpiry }, connection)
    connection.session = session
    const welcome = {
      sessionPresent: present,
      assigned: connect.client === '' ? client : undefined,
      sessionExpiry: sessionExpiry === connect.sessionExpiry ? undefined : sessionExpiry,
      keepalive: keepalive === connect.keepalive ? undefined : keepalive,
      receiveMaximum: limits.receiveMaximum,
      maximumPacket: limits.packet,
      aliasMaximum: CLIENT_ALIASES,
    }
    this.#parts.welcomed(connection)
    // A session that is to outlive its connection is one that a crash does not take away.
    this.#parts.whenKept(entry, !present && sessionExpiry > 0, () => {
      if (connection.state !== HANDSHAKE) return
      connection.write(encodeWelcome(connect.version, welcome))
      guard.ready(connection)
      this.#parts.resumed(connection)
    })
  }

  #refuse(connection: Connection<Route>, connect: Connect, reason: string, code: number): void {
    this.#parts.guard.turnAway(connection, reason, encodeRefusal(connect.version, code), {
      ...(connect.user === undefined ? {} : { user: connect.user }),
      ...(connect.client === '' ? {} : { client: connect.client }),
    })
  }
}

/** The server has the last word (MQTT-3.1.2-21). s, 0: none. */
function keepaliveOf(asked: number, most: number): number {
  if (most === Infinity) return asked
  return asked === 0 ? most : Math.min(asked, most)
}
