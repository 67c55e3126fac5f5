/**
 * A DTLS 1.2 server for pre-shared keys, as a datagram transport over another (RFC 6347, 4279, 7627, 9146).
 *
 *   client                                          server
 *   ClientHello                     ─▶                                   nothing is kept
 *                                   ◀─  HelloVerifyRequest (cookie)
 *   ClientHello (cookie)            ─▶                                   hello ─▶ key        a handshake is kept
 *                                   ◀─  ServerHello, ServerHelloDone                     sent again after 1, 2, 4 … s
 *   ClientKeyExchange (identity)    ─▶                                   key ─▶ finished     keys are derived
 *   ChangeCipherSpec, Finished      ─▶                                   finished ─▶ open
 *                                   ◀─  ChangeCipherSpec, Finished               sent again when Finished comes again
 *
 * - A handshake at an address that has a session leaves that session alone until it is complete, then replaces it.
 * - An unknown identity goes on with a random key and so looks like a wrong key: `decrypt_error` either way.
 * - Records that are replayed, not authentic, or of another epoch are dropped in silence and counted.
 * - With a Connection ID a session is found by it, wherever the record came from; the newest record moves the session
 *   to its address, and the receiver is told that this address is not yet proved.
 * - Sessions and handshakes are bounded tables: the least recently heard of goes, with a close_notify.
 */
import type { Clock } from '../../../gateway/plugin.ts'
import type { DatagramReceiver, DatagramTransport, Peer } from '../transport.ts'
import { createAssociations } from './associations.ts'
import { CLOSE_NOTIFY, Connection, createSecrets, FATAL, NO_RENEGOTIATION, WARNING } from './connection.ts'
import { CID_LENGTH, createConnectionIds } from './connection-ids.ts'
import { createCookies } from './cookie.ts'
import { CLIENT_HELLO, FINISHED, type Fragment, HELLO_VERIFY_REQUEST, readFragment, writeMessage } from './handshake.ts'
import { type HelloStart, readHelloStart, writeHelloVerifyRequest } from './hello.ts'
import {
  ALERT,
  APPLICATION_DATA,
  DTLS_1_0,
  type DtlsRecord,
  HANDSHAKE,
  plainRecord,
  readRecord,
  TLS12_CID,
} from './record.ts'
import { createServerHandshakes, type Handshake, lastFlight } from './server-handshake.ts'

export interface DtlsServerOptions {
  readonly clock: Clock
  /** Carries the records; its peers need not be verified. */
  readonly lower: DatagramTransport
  /** The key of an identity, or undefined. */
  keyOf(identity: string): Buffer | undefined
  /** Starts the keys of its peers. */
  readonly name?: string
  readonly maxSessions?: number
  readonly maxHandshakes?: number
  /** Offer Connection IDs. Default true. */
  readonly connectionId?: boolean
  readonly count?: (event: string) => void
  /** A handshake failed for a reason a person may want to know. Never holds a key. */
  readonly refused?: (peer: Peer, identity: string | undefined, reason: string) => void
}

export interface DtlsServer extends DatagramTransport {
  readonly sessions: number
  readonly handshakes: number
  /** Ends the sessions of identities that no longer hold. */
  endSessions(stillHolds: (identity: string) => boolean): void
}

export function createDtlsServer(options: DtlsServerOptions): DtlsServer {
  const { clock, lower, name = 'dtls', maxSessions = 10_000, maxHandshakes = 1000, connectionId = true } = options
  const count = options.count ?? (() => {})
  const cookies = createCookies(clock)
  const associations = createAssociations()
  /** Least recently heard of first. */
  const sessions = new Map<string, Connection>()
  const cids = createConnectionIds()
  const secrets = createSecrets()
  let receiver: DatagramReceiver | undefined
  let born = 0
  const handshakes = createServerHandshakes({
    clock,
    max: maxHandshakes,
    cids: connectionId ? cids : undefined,
    keyOf: (identity) => options.keyOf(identity),
    count,
    refused: options.refused,
    completed,
    abandoned,
  })

  function datagram(data: Buffer, from: Peer): void {
    for (let at = 0; at < data.length; ) {
      const record = readRecord(data, at, CID_LENGTH)
      if (!record) {
        count('dtls_malformed')
        return
      }
      at = record.end
      if (record.type === TLS12_CID) withCid(record, from)
      else if (record.epoch === 0) plain(record, from)
      else if (record.epoch === 1) protectedRecord(record, from)
      else count('dtls_dropped')
    }
  }

  // Records without protection: the hellos and the key exchange.

  function plain(record: DtlsRecord, from: Peer): void {
    if (record.type === HANDSHAKE) {
      for (let at = 0; at < record.fragment.length; ) {
        const fragment = readFragment(record.fragment, at)
        if (!fragment) {
          count('dtls_malformed')
          return
        }
        at = fragment.end
        plainFragment(fragment, record, from)
      }
    } else if (record.type === ALERT && record.fragment[0] === FATAL) {
      // Not authentic, but before keys nothing is: at worst a handshake starts over.
      const handshake = associations.handshake(from.key)
      if (handshake) handshakes.abandon(handshake)
    }
  }

  function plainFragment(fragment: Fragment, record: DtlsRecord, from: Peer): void {
    const handshake = associations.handshake(from.key)
    if (fragment.type === CLIENT_HELLO) hello(fragment, record, from, handshake)
    else if (handshake) handshakes.take(handshake, fragment)
    else count('dtls_dropped')
  }

  function hello(fragment: Fragment, record: DtlsRecord, from: Peer, known: Handshake | undefined): void {
    const start = fragment.offset === 0 ? readHelloStart(fragment.body) : undefined
    const same = known?.helloSequence === fragment.sequence && (!start || start.random.equals(known.clientRandom))
    if (known && same) {
      // Our flight again only for one who knows the random: not for a forged fragment of the hello's end.
      if (!handshakes.take(known, fragment) && start) known.connection.flight(known.flight)
    } else if (!start) count('dtls_dropped')
    else if (cookies.valid(from.key, start.random, start.cookie)) begin(fragment, record, from, start)
    else verify(start, record, from)
  }

  /** With the number of the record it answers, and without remembering anything (RFC 6347 §4.2.1). */
  function verify(start: HelloStart, record: DtlsRecord, from: Peer): void {
    const body = writeHelloVerifyRequest(cookies.make(from.key, start.random))
    const message = writeMessage(HELLO_VERIFY_REQUEST, 0, body)
    lower.send(plainRecord(HANDSHAKE, DTLS_1_0, record.sequence, message), from)
    count('dtls_cookies')
  }

  // What becomes of handshakes.

  function begin(fragment: Fragment, record: DtlsRecord, from: Peer, start: HelloStart): void {
    const before = associations.handshake(from.key)
    if (before) handshakes.abandon(before)
    // Our first record has the number of the one it answers (RFC 6347 §4.2.1).
    const connection = new Connection(`${name}#${++born}`, transport, from, record.sequence, secrets)
    const handshake = handshakes.begin(connection, fragment, start.random)
    associations.putHandshake(from.key, handshake)
    handshakes.take(handshake, fragment)
  }

  function abandoned(handshake: Handshake): void {
    associations.dropHandshake(handshake.connection.lower.key, handshake)
  }

  function completed(handshake: Handshake): void {
    const { connection } = handshake
    const { key } = connection.lower
    const before = associations.session(key)
    if (before) end(before)
    associations.putSession(key, connection)
    associations.dropHandshake(key, handshake)
    sessions.set(connection.key, connection)
    count('dtls_sessions')
    for (const oldest of sessions.values()) {
      if (sessions.size <= maxSessions) break
      close(oldest)
    }
  }

  // Records of sessions.

  function withCid(record: DtlsRecord, from: Peer): void {
    const connection = record.epoch === 1 ? cids.find(record.cid) : undefined
    const handshake = connection && handshakes.of(connection)
    if (handshake) handshakes.finishing(handshake, record)
    else if (connection) ofSession(connection, record, from)
    else count('dtls_dropped')
  }

  function protectedRecord(record: DtlsRecord, from: Peer): void {
    const session = associations.session(from.key)
    const handshake = associations.handshake(from.key)
    if (!session && !handshake) count('dtls_dropped')
    // With an agreed Connection ID a record must carry it (RFC 9146 §3).
    const forSession = session && session.ownCid === undefined
    if (forSession && ofSession(session, record, from)) return
    if (handshake && handshake.connection.ownCid === undefined) handshakes.finishing(handshake, record)
  }

  /** True when the record is of this session. */
  function ofSession(connection: Connection, record: DtlsRecord, from: Peer): boolean {
    const opened = connection.unprotect(record)
    if (typeof opened === 'string') {
      count(opened === 'replay' ? 'dtls_replays' : 'dtls_bad_records')
      return false
    }
    const newest = connection.seen(record)
    sessions.delete(connection.key)
    sessions.set(connection.key, connection)
    if (newest && from.key !== connection.lower.key) move(connection, from)
    if (opened.type === APPLICATION_DATA) {
      connection.finished = undefined
      receiver?.datagram(opened.content, connection)
    } else if (opened.type === ALERT) alerted(connection, opened.content)
    else if (opened.type === HANDSHAKE) again(connection, opened.content)
    return true
  }

  /** Only records with a Connection ID come here from another address than before. */
  function move(connection: Connection, to: Peer): void {
    associations.dropSession(connection.lower.key, connection)
    connection.lower = to
    // Never in the place of another session: its peer is the one who proved this address.
    if (!associations.session(to.key)) associations.putSession(to.key, connection)
    count('dtls_moves')
    receiver?.moved(connection)
  }

  function alerted(connection: Connection, content: Buffer): void {
    if (content[0] !== FATAL && content[1] !== CLOSE_NOTIFY) return
    if (content[1] === CLOSE_NOTIFY) connection.alert(WARNING, CLOSE_NOTIFY)
    end(connection)
  }

  /** Its Finished again, as ours was lost; or a hello within the session, which would renegotiate. */
  function again(connection: Connection, content: Buffer): void {
    const fragment = readFragment(content, 0)
    if (fragment?.type === FINISHED) connection.flight(lastFlight(connection))
    else if (fragment?.type === CLIENT_HELLO) connection.alert(WARNING, NO_RENEGOTIATION)
  }

  function close(connection: Connection): void {
    connection.alert(WARNING, CLOSE_NOTIFY)
    end(connection)
  }

  function end(connection: Connection): void {
    if (connection.state === 'closed') return
    connection.close()
    sessions.delete(connection.key)
    cids.release(connection)
    associations.dropSession(connection.lower.key, connection)
    receiver?.gone(connection)
  }

  const transport: DtlsServer = {
    get port() {
      return lower.port
    },
    get sessions() {
      return sessions.size
    },
    get handshakes() {
      return handshakes.size
    },
    attach(to) {
      receiver = to
      lower.attach({ datagram, gone() {}, moved() {} })
    },
    send(data, peer) {
      if (!(peer instanceof Connection) || peer.state !== 'open') return
      if (!peer.send(data)) close(peer)
    },
    endSessions(stillHolds) {
      for (const connection of [...sessions.values()])
        if (connection.identity === undefined || !stillHolds(connection.identity)) close(connection)
    },
    async close() {
      handshakes.abandonAll()
      for (const connection of [...sessions.values()]) close(connection)
      await lower.close()
    },
  }
  return transport
}
