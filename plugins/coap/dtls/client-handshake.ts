/**
 * Handshakes of a DTLS client (RFC 6347 §4.2, RFC 4279, RFC 7627), the other side of `server-handshake.ts`.
 *
 *   greeting   ClientHello ─▶, ◀─ HelloVerifyRequest, ClientHello with cookie ─▶, ◀─ ServerHello … ServerHelloDone
 *   finishing  ClientKeyExchange, ChangeCipherSpec, Finished ─▶, ◀─ ChangeCipherSpec, Finished
 *
 * What was said last is said again after 1, 2, 4 … s.
 */
import { randomBytes, timingSafeEqual } from 'node:crypto'
import { NotConnectedError } from '../../../gateway/errors.ts'
import type { Clock, Timer } from '../../../gateway/plugin.ts'
import { type Connection, FATAL, type FlightPart } from './connection.ts'
import {
  CLIENT_HELLO,
  CLIENT_KEY_EXCHANGE,
  createReassembly,
  FINISHED,
  type HandshakeMessage,
  HELLO_VERIFY_REQUEST,
  type Reassembly,
  readFragment,
  SERVER_HELLO,
  SERVER_HELLO_DONE,
  SERVER_KEY_EXCHANGE,
  writeMessage,
} from './handshake.ts'
import {
  CONNECTION_ID,
  EXTENDED_MASTER_SECRET,
  type Extension,
  RANDOM,
  RENEGOTIATION_INFO,
  readConnectionId,
  readHelloVerifyRequest,
  readServerHello,
  writeClientHello,
  writeConnectionId,
} from './hello.ts'
import { extendedMasterSecret, masterSecret, transcriptHash, verifyData } from './key-schedule.ts'
import { ALERT, CHANGE_CIPHER_SPEC, DTLS_1_2, type DtlsRecord, HANDSHAKE } from './record.ts'
import { SUITES, type Suite } from './suite.ts'

export interface Credentials {
  readonly identity: string
  readonly key: Buffer
  /** Default: all of `suite.ts`, best first. */
  readonly suites?: readonly number[]
  /** Offer to send a Connection ID. Default true. */
  readonly connectionId?: boolean
  /** Offer the extended master secret. Default true. */
  readonly extendedMasterSecret?: boolean
}

const FIRST_RETRANSMIT = 1000
const MAX_RETRANSMITS = 5

export interface Attempt {
  readonly connection: Connection
  readonly credentials: Credentials
  readonly random: Buffer
  readonly reassembly: Reassembly
  transcript: Buffer[]
  sequence: number
  flight: FlightPart[]
  serverRandom: Buffer
  suite: Suite | undefined
  extended: boolean
  master: Buffer | undefined
  retransmits: number
  timer: Timer | undefined
  readonly settle: (error?: NotConnectedError) => void
}

/** Handshakes under way, one for each address. */
export interface ClientHandshakes {
  /** Begins one, in place of one there is at that address. `settle` is called once. */
  begin(connection: Connection, credentials: Credentials, settle: (error?: NotConnectedError) => void): Attempt
  at(address: string): Attempt | undefined
  /** A record of epoch 0. */
  plain(attempt: Attempt, record: DtlsRecord): void
  /** A record of epoch 1: the server's Finished. */
  finishing(attempt: Attempt, record: DtlsRecord): void
  fail(attempt: Attempt, reason: string): void
  failAll(reason: string): void
}

export function createClientHandshakes(clock: Clock): ClientHandshakes {
  const attempts = new Map<string, Attempt>()

  function plain(attempt: Attempt, record: DtlsRecord): void {
    if (record.type === ALERT && record.fragment[0] === FATAL)
      fail(attempt, `the server refused with alert ${record.fragment[1]}`)
    if (record.type !== HANDSHAKE) return
    for (let at = 0; at < record.fragment.length; ) {
      const fragment = readFragment(record.fragment, at)
      if (!fragment) return
      at = fragment.end
      attempt.reassembly.add(fragment)
    }
    for (let message = attempt.reassembly.next(); message; message = attempt.reassembly.next()) take(attempt, message)
  }

  function take(attempt: Attempt, message: HandshakeMessage): void {
    if (message.type === HELLO_VERIFY_REQUEST) {
      attempt.transcript = []
      greet(attempt, readHelloVerifyRequest(message.body) ?? Buffer.alloc(0))
      return
    }
    attempt.transcript.push(message.whole)
    if (message.type === SERVER_HELLO) chosen(attempt, message.body)
    else if (message.type === SERVER_HELLO_DONE) answer(attempt)
    // The hint of a ServerKeyExchange helps a client with many identities; ours was given one.
    else if (message.type !== SERVER_KEY_EXCHANGE) fail(attempt, `unexpected handshake message ${message.type}`)
  }

  function greet(attempt: Attempt, cookie: Buffer): void {
    const { credentials, random } = attempt
    const extensions: Extension[] = [[RENEGOTIATION_INFO, Buffer.from([0])]]
    if (credentials.extendedMasterSecret ?? true) extensions.push([EXTENDED_MASTER_SECRET, Buffer.alloc(0)])
    if (credentials.connectionId ?? true) extensions.push([CONNECTION_ID, writeConnectionId(Buffer.alloc(0))])
    const suites = credentials.suites ?? SUITES.map((s) => s.id)
    attempt.flight = []
    say(attempt, CLIENT_HELLO, writeClientHello(random, cookie, suites, extensions))
    attempt.connection.flight(attempt.flight)
  }

  function chosen(attempt: Attempt, body: Buffer): void {
    const hello = readServerHello(body)
    const offered = attempt.credentials.suites ?? SUITES.map((s) => s.id)
    const suite = SUITES.find((s) => s.id === hello?.suite && offered.includes(s.id))
    if (!hello || !suite || hello.version !== DTLS_1_2 || hello.compression !== 0) {
      fail(attempt, 'the server chose what was not offered')
      return
    }
    attempt.suite = suite
    attempt.serverRandom = Buffer.from(hello.random)
    attempt.extended = hello.extensions.has(EXTENDED_MASTER_SECRET)
    const cid = hello.extensions.get(CONNECTION_ID)
    if (cid) attempt.connection.theirCid = Buffer.from(readConnectionId(cid) ?? [])
  }

  function answer(attempt: Attempt): void {
    const { connection, credentials, random, serverRandom, suite } = attempt
    if (!suite) {
      fail(attempt, 'ServerHelloDone before ServerHello')
      return
    }
    attempt.flight = []
    const identity = Buffer.from(credentials.identity)
    const exchange = Buffer.alloc(2 + identity.length)
    exchange.writeUInt16BE(identity.length)
    exchange.set(identity, 2)
    say(attempt, CLIENT_KEY_EXCHANGE, exchange)
    const master = attempt.extended
      ? extendedMasterSecret(credentials.key, transcriptHash(attempt.transcript))
      : masterSecret(credentials.key, Buffer.concat([random, serverRandom]))
    attempt.master = master
    connection.protect(suite, master, Buffer.concat([serverRandom, random]), 'client')
    attempt.flight.push({ epoch: 0, type: CHANGE_CIPHER_SPEC, body: Buffer.from([1]) })
    say(attempt, FINISHED, verifyData(master, 'client finished', transcriptHash(attempt.transcript)), 1)
    attempt.retransmits = 0
    retransmitLater(attempt)
    connection.flight(attempt.flight)
  }

  function say(attempt: Attempt, type: number, body: Buffer, epoch: 0 | 1 = 0): void {
    const message = writeMessage(type, attempt.sequence++, body)
    attempt.transcript.push(message)
    attempt.flight.push({ epoch, type: HANDSHAKE, body: message })
  }

  function finishing(attempt: Attempt, record: DtlsRecord): void {
    const { connection, master } = attempt
    const opened = connection.unprotect(record)
    if (typeof opened === 'string' || opened.type !== HANDSHAKE || !master) return
    connection.seen(record)
    const fragment = readFragment(opened.content, 0)
    if (!fragment || !attempt.reassembly.add(fragment)) return
    const message = attempt.reassembly.next()
    if (message?.type !== FINISHED) return
    const expected = verifyData(master, 'server finished', transcriptHash(attempt.transcript))
    if (message.body.length !== expected.length || !timingSafeEqual(message.body, expected)) {
      fail(attempt, 'Finished does not fit the handshake')
      return
    }
    connection.state = 'open'
    forget(attempt)
    attempt.settle()
  }

  function retransmitLater(attempt: Attempt): void {
    attempt.timer?.cancel()
    attempt.timer = clock.after(FIRST_RETRANSMIT * 2 ** attempt.retransmits, () => {
      if (attempt.retransmits++ === MAX_RETRANSMITS) {
        fail(attempt, 'no answer')
        return
      }
      attempt.connection.flight(attempt.flight)
      retransmitLater(attempt)
    })
  }

  function forget(attempt: Attempt): void {
    attempt.timer?.cancel()
    const { key } = attempt.connection.lower
    if (attempts.get(key) === attempt) attempts.delete(key)
  }

  function fail(attempt: Attempt, reason: string): void {
    forget(attempt)
    attempt.connection.close()
    const { address, port } = attempt.connection
    attempt.settle(new NotConnectedError('SLUICE_DTLS', `no DTLS session with ${address}:${port}: ${reason}`))
  }

  return {
    begin(connection, credentials, settle) {
      const { key } = connection.lower
      const before = attempts.get(key)
      if (before) fail(before, 'another attempt was begun')
      const attempt: Attempt = {
        connection,
        credentials,
        random: randomBytes(RANDOM),
        reassembly: createReassembly(0),
        transcript: [],
        sequence: 0,
        flight: [],
        serverRandom: Buffer.alloc(0),
        suite: undefined,
        extended: false,
        master: undefined,
        retransmits: 0,
        timer: undefined,
        settle,
      }
      attempts.set(key, attempt)
      retransmitLater(attempt)
      greet(attempt, Buffer.alloc(0))
      return attempt
    },
    at: (address) => attempts.get(address),
    plain,
    finishing,
    fail,
    failAll(reason) {
      for (const attempt of [...attempts.values()]) fail(attempt, reason)
    },
  }
}
