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
import { randomBytes, timingSafeEqual } from 'node:crypto'
import type { Clock, Timer } from '../../../gateway/plugin.ts'
import type { DatagramReceiver, DatagramTransport, Peer } from '../transport.ts'
import { createCipherPool } from './cipher-pool.ts'
import {
  CLOSE_NOTIFY,
  Connection,
  DECODE_ERROR,
  DECRYPT_ERROR,
  FATAL,
  type FlightPart,
  HANDSHAKE_FAILURE,
  NO_RENEGOTIATION,
  PROTOCOL_VERSION,
  UNEXPECTED_MESSAGE,
  WARNING,
} from './connection.ts'
import { createCookies } from './cookie.ts'
import {
  CLIENT_HELLO,
  CLIENT_KEY_EXCHANGE,
  createReassembly,
  FINISHED,
  type Fragment,
  type HandshakeMessage,
  HELLO_VERIFY_REQUEST,
  type Reassembly,
  readFragment,
  SERVER_HELLO,
  SERVER_HELLO_DONE,
  writeMessage,
} from './handshake.ts'
import {
  type ClientHello,
  CONNECTION_ID,
  EXTENDED_MASTER_SECRET,
  type Extension,
  type HelloStart,
  RANDOM,
  RENEGOTIATION_INFO,
  RENEGOTIATION_SCSV,
  readClientHello,
  readConnectionId,
  readHelloStart,
  writeConnectionId,
  writeHelloVerifyRequest,
  writeServerHello,
} from './hello.ts'
import { connectionKeys, extendedMasterSecret, masterSecret, transcriptHash, verifyData } from './key-schedule.ts'
import {
  ALERT,
  APPLICATION_DATA,
  CHANGE_CIPHER_SPEC,
  DTLS_1_0,
  DTLS_1_2,
  type DtlsRecord,
  HANDSHAKE,
  plainRecord,
  readRecord,
  TLS12_CID,
} from './record.ts'
import { SUITES, type Suite } from './suite.ts'

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

/** Bytes of our Connection IDs: what a JavaScript number holds exactly. */
const CID_LENGTH = 6
/** ms */
const FIRST_RETRANSMIT = 1000
const MAX_RETRANSMITS = 5
const MAX_IDENTITY = 128
/** Records of epoch 1 kept while the key exchange before them is still missing. */
const MAX_EARLY = 4

interface Handshake {
  readonly connection: Connection
  readonly reassembly: Reassembly
  readonly clientRandom: Buffer
  readonly helloSequence: number
  readonly transcript: Buffer[]
  stage: 'hello' | 'key' | 'finished'
  serverRandom: Buffer
  suite: Suite | undefined
  extended: boolean
  master: Buffer | undefined
  /** Number of the next handshake message we send. */
  sequence: number
  flight: FlightPart[]
  early: DtlsRecord[]
  attempts: number
  timer: Timer | undefined
}

/** What is known of an address: a session, a handshake that may replace it, or both. */
interface Association {
  session: Connection | undefined
  handshake: Handshake | undefined
}

export function createDtlsServer(options: DtlsServerOptions): DtlsServer {
  const { clock, lower, name = 'dtls', maxSessions = 10_000, maxHandshakes = 1000, connectionId = true } = options
  const count = options.count ?? (() => {})
  const cookies = createCookies(clock)
  const associations = new Map<string, Association>()
  /** Least recently heard of first. */
  const sessions = new Map<string, Connection>()
  const handshakes = new Map<string, Handshake>()
  const byCid = new Map<number, Connection>()
  /** The last flight of a session, until the client shows that it has it. */
  const lastFlights = new WeakMap<Connection, FlightPart[]>()
  const pool = createCipherPool()
  let receiver: DatagramReceiver | undefined
  let born = 0

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
      const handshake = associations.get(from.key)?.handshake
      if (handshake) abandon(handshake)
    }
  }

  function plainFragment(fragment: Fragment, record: DtlsRecord, from: Peer): void {
    const handshake = associations.get(from.key)?.handshake
    if (fragment.type === CLIENT_HELLO) hello(fragment, record, from, handshake)
    else if (handshake) {
      if (handshake.reassembly.add(fragment)) progress(handshake)
    } else count('dtls_dropped')
  }

  function hello(fragment: Fragment, record: DtlsRecord, from: Peer, known: Handshake | undefined): void {
    const start = fragment.offset === 0 ? readHelloStart(fragment.body) : undefined
    const same = known?.helloSequence === fragment.sequence && (!start || start.random.equals(known.clientRandom))
    if (known && same) {
      if (known.reassembly.add(fragment)) progress(known)
      else known.connection.flight(known.flight)
    } else if (!start) count('dtls_dropped')
    else if (cookies.valid(from.key, start.random, start.cookie)) {
      const handshake = begin(fragment, record, from, start)
      handshake.reassembly.add(fragment)
      progress(handshake)
    } else verify(start, record, from)
  }

  /** With the number of the record it answers, and without remembering anything (RFC 6347 §4.2.1). */
  function verify(start: HelloStart, record: DtlsRecord, from: Peer): void {
    const body = writeHelloVerifyRequest(cookies.make(from.key, start.random))
    const message = writeMessage(HELLO_VERIFY_REQUEST, 0, body)
    lower.send(plainRecord(HANDSHAKE, DTLS_1_0, record.sequence, message), from)
    count('dtls_cookies')
  }

  function begin(fragment: Fragment, record: DtlsRecord, from: Peer, start: HelloStart): Handshake {
    const association = associations.get(from.key) ?? { session: undefined, handshake: undefined }
    if (association.handshake) abandon(association.handshake)
    for (const oldest of handshakes.values()) {
      if (handshakes.size < maxHandshakes) break
      abandon(oldest)
    }
    const handshake: Handshake = {
      connection: new Connection(`${name}#${++born}`, transport, from, record.sequence, pool),
      reassembly: createReassembly(fragment.sequence),
      clientRandom: Buffer.from(start.random),
      helloSequence: fragment.sequence,
      transcript: [],
      stage: 'hello',
      serverRandom: randomBytes(RANDOM),
      suite: undefined,
      extended: false,
      master: undefined,
      sequence: fragment.sequence,
      flight: [],
      early: [],
      attempts: 0,
      timer: undefined,
    }
    association.handshake = handshake
    associations.set(from.key, association)
    handshakes.set(handshake.connection.key, handshake)
    retransmitLater(handshake)
    return handshake
  }

  // The handshake, message by message.

  function progress(handshake: Handshake): void {
    for (;;) {
      if (handshake.connection.state !== 'handshake') return
      const message = handshake.reassembly.next()
      if (!message) return
      if (handshake.stage === 'hello' && message.type === CLIENT_HELLO) chosen(handshake, message)
      else if (handshake.stage === 'key' && message.type === CLIENT_KEY_EXCHANGE) keyed(handshake, message)
      else fail(handshake, UNEXPECTED_MESSAGE, 'unexpected message')
    }
  }

  function chosen(handshake: Handshake, message: HandshakeMessage): void {
    const hello = readClientHello(message.body)
    if (!hello) {
      fail(handshake, DECODE_ERROR, 'malformed ClientHello')
      return
    }
    // Later versions have smaller numbers.
    if (hello.version > DTLS_1_2) {
      fail(handshake, PROTOCOL_VERSION, 'the client has no DTLS 1.2')
      return
    }
    const suite = SUITES.find((s) => hello.suites.includes(s.id))
    if (!suite || !hello.compressions.includes(0)) {
      fail(handshake, HANDSHAKE_FAILURE, 'no cipher suite in common')
      return
    }
    handshake.suite = suite
    handshake.extended = hello.extensions.has(EXTENDED_MASTER_SECRET)
    handshake.transcript.push(message.whole)
    const extensions = answers(handshake, hello)
    send(handshake, SERVER_HELLO, writeServerHello(handshake.serverRandom, suite.id, extensions))
    send(handshake, SERVER_HELLO_DONE, Buffer.alloc(0))
    handshake.stage = 'key'
    handshake.connection.flight(handshake.flight)
  }

  function answers(handshake: Handshake, hello: ClientHello): Extension[] {
    const extensions: Extension[] = []
    if (handshake.extended) extensions.push([EXTENDED_MASTER_SECRET, Buffer.alloc(0)])
    if (hello.extensions.has(RENEGOTIATION_INFO) || hello.suites.includes(RENEGOTIATION_SCSV))
      extensions.push([RENEGOTIATION_INFO, Buffer.from([0])])
    const offered = connectionId ? hello.extensions.get(CONNECTION_ID) : undefined
    const theirs = offered && readConnectionId(offered)
    if (theirs) {
      const { connection } = handshake
      const own = freshCid()
      connection.theirCid = Buffer.from(theirs)
      connection.ownCid = own.readUIntBE(0, CID_LENGTH)
      byCid.set(connection.ownCid, connection)
      extensions.push([CONNECTION_ID, writeConnectionId(own)])
    }
    return extensions
  }

  function freshCid(): Buffer {
    let cid = randomBytes(CID_LENGTH)
    while (byCid.has(cid.readUIntBE(0, CID_LENGTH))) cid = randomBytes(CID_LENGTH)
    return cid
  }

  function keyed(handshake: Handshake, message: HandshakeMessage): void {
    const { body } = message
    const length = body.length < 2 ? -1 : body.readUInt16BE(0)
    if (length !== body.length - 2 || length > MAX_IDENTITY) {
      fail(handshake, DECODE_ERROR, 'malformed ClientKeyExchange')
      return
    }
    const { connection, clientRandom, serverRandom, suite } = handshake
    const identity = body.subarray(2).toString()
    connection.identity = identity
    // A random key for whom nobody knows: it takes as long and fails in the same place as a wrong one.
    const psk = options.keyOf(identity) ?? randomBytes(16)
    handshake.transcript.push(message.whole)
    handshake.master = handshake.extended
      ? extendedMasterSecret(psk, transcriptHash(handshake.transcript))
      : masterSecret(psk, Buffer.concat([clientRandom, serverRandom]))
    const keys = connectionKeys(handshake.master, Buffer.concat([serverRandom, clientRandom]))
    if (suite) connection.protect(suite, keys.client, keys.server)
    handshake.stage = 'finished'
    for (const record of handshake.early.splice(0)) finishing(handshake, record)
  }

  /** A record of epoch 1 for a handshake: its Finished. */
  function finishing(handshake: Handshake, record: DtlsRecord): void {
    const { connection } = handshake
    if (handshake.stage !== 'finished') {
      // The views keep the datagram alive, which is nobody else's.
      if (handshake.early.length < MAX_EARLY) handshake.early.push(record)
      return
    }
    const opened = connection.unprotect(record)
    if (typeof opened === 'string') {
      // Before Finished a record that cannot be opened means that the keys differ: say so, or the client waits a minute.
      if (record.type === HANDSHAKE || record.type === TLS12_CID)
        fail(handshake, DECRYPT_ERROR, 'unknown identity or wrong key')
      return
    }
    if (opened.type !== HANDSHAKE) return
    connection.seen(record)
    const fragment = readFragment(opened.content, 0)
    if (!fragment || !handshake.reassembly.add(fragment)) return
    const message = handshake.reassembly.next()
    if (message) finished(handshake, message)
  }

  function finished(handshake: Handshake, message: HandshakeMessage): void {
    const { connection, master } = handshake
    if (!master || message.type !== FINISHED) {
      fail(handshake, UNEXPECTED_MESSAGE, 'unexpected message')
      return
    }
    const expected = verifyData(master, 'client finished', transcriptHash(handshake.transcript))
    if (message.body.length !== expected.length || !timingSafeEqual(message.body, expected)) {
      fail(handshake, DECRYPT_ERROR, 'Finished does not fit the handshake')
      return
    }
    handshake.transcript.push(message.whole)
    const body = verifyData(master, 'server finished', transcriptHash(handshake.transcript))
    const flight: FlightPart[] = [
      { epoch: 0, type: CHANGE_CIPHER_SPEC, body: Buffer.from([1]) },
      { epoch: 1, type: HANDSHAKE, body: writeMessage(FINISHED, handshake.sequence, body) },
    ]
    connection.flight(flight)
    lastFlights.set(connection, flight)
    establish(handshake)
  }

  function establish(handshake: Handshake): void {
    const { connection } = handshake
    forget(handshake)
    connection.state = 'open'
    const association = associations.get(connection.lower.key) ?? { session: undefined, handshake: undefined }
    association.handshake = undefined
    const before = association.session
    if (before) end(before)
    association.session = connection
    associations.set(connection.lower.key, association)
    sessions.set(connection.key, connection)
    count('dtls_sessions')
    for (const oldest of sessions.values()) {
      if (sessions.size <= maxSessions) break
      close(oldest)
    }
  }

  function send(handshake: Handshake, type: number, body: Buffer): void {
    const message = writeMessage(type, handshake.sequence++, body)
    handshake.transcript.push(message)
    handshake.flight.push({ epoch: 0, type: HANDSHAKE, body: message })
  }

  function retransmitLater(handshake: Handshake): void {
    handshake.timer = clock.after(FIRST_RETRANSMIT * 2 ** handshake.attempts, () => {
      if (handshake.attempts++ === MAX_RETRANSMITS) {
        count('dtls_timeouts')
        abandon(handshake)
        return
      }
      if (handshake.flight.length > 0) handshake.connection.flight(handshake.flight)
      retransmitLater(handshake)
    })
  }

  function fail(handshake: Handshake, alert: number, reason: string): void {
    count('dtls_refused')
    handshake.connection.alert(FATAL, alert)
    options.refused?.(handshake.connection.lower, handshake.connection.identity, reason)
    abandon(handshake)
  }

  function forget(handshake: Handshake): void {
    handshake.timer?.cancel()
    handshakes.delete(handshake.connection.key)
  }

  function abandon(handshake: Handshake): void {
    const { connection } = handshake
    forget(handshake)
    connection.state = 'closed'
    if (connection.ownCid !== undefined) byCid.delete(connection.ownCid)
    const association = associations.get(connection.lower.key)
    if (association?.handshake !== handshake) return
    association.handshake = undefined
    if (!association.session) associations.delete(connection.lower.key)
  }

  // Records of sessions.

  function withCid(record: DtlsRecord, from: Peer): void {
    const connection = record.epoch === 1 ? byCid.get(record.cid.readUIntBE(0, CID_LENGTH)) : undefined
    const handshake = connection && handshakes.get(connection.key)
    if (handshake) finishing(handshake, record)
    else if (connection) ofSession(connection, record, from)
    else count('dtls_dropped')
  }

  function protectedRecord(record: DtlsRecord, from: Peer): void {
    const association = associations.get(from.key)
    if (!association) {
      count('dtls_dropped')
      return
    }
    const { handshake, session } = association
    // With an agreed Connection ID a record must carry it (RFC 9146 §3).
    const forSession = session && session.ownCid === undefined
    if (forSession && ofSession(session, record, from)) return
    if (handshake && handshake.connection.ownCid === undefined) finishing(handshake, record)
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
      lastFlights.delete(connection)
      receiver?.datagram(opened.content, connection)
    } else if (opened.type === ALERT) alerted(connection, opened.content)
    else if (opened.type === HANDSHAKE) again(connection, opened.content)
    return true
  }

  /** Only records with a Connection ID come here from another address than before. */
  function move(connection: Connection, to: Peer): void {
    const before = associations.get(connection.lower.key)
    if (before?.session === connection) {
      before.session = undefined
      if (!before.handshake) associations.delete(connection.lower.key)
    }
    connection.lower = to
    // Never in the place of another session: its peer is the one who proved this address.
    const there = associations.get(to.key)
    if (!there) associations.set(to.key, { session: connection, handshake: undefined })
    else there.session ??= connection
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
    const flight = lastFlights.get(connection)
    if (fragment?.type === FINISHED && flight) connection.flight(flight)
    else if (fragment?.type === CLIENT_HELLO) connection.alert(WARNING, NO_RENEGOTIATION)
  }

  function close(connection: Connection): void {
    connection.alert(WARNING, CLOSE_NOTIFY)
    end(connection)
  }

  function end(connection: Connection): void {
    if (connection.state === 'closed') return
    connection.state = 'closed'
    sessions.delete(connection.key)
    lastFlights.delete(connection)
    if (connection.ownCid !== undefined) byCid.delete(connection.ownCid)
    const association = associations.get(connection.lower.key)
    if (association?.session === connection) {
      association.session = undefined
      if (!association.handshake) associations.delete(connection.lower.key)
    }
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
      for (const handshake of [...handshakes.values()]) abandon(handshake)
      for (const connection of [...sessions.values()]) close(connection)
      await lower.close()
    },
  }
  return transport
}
