/**
 * Handshakes of a DTLS server, from the ClientHello with a good cookie to Finished (RFC 6347 §4.2, RFC 4279, RFC 7627).
 * What is sent before that, and what becomes of the connection afterwards, is `server.ts`.
 *
 *   hello ─ClientHello─▶ key ─ClientKeyExchange─▶ finished ─Finished─▶ completed
 *     our flight is sent again after 1, 2, 4 … s         a record that cannot be opened: wrong key, decrypt_error
 */
import { randomBytes, timingSafeEqual } from 'node:crypto'
import type { Clock, Timer } from '../../../gateway/plugin.ts'
import type { Peer } from '../transport.ts'
import {
  type Connection,
  DECODE_ERROR,
  DECRYPT_ERROR,
  FATAL,
  type FlightPart,
  UNEXPECTED_MESSAGE,
} from './connection.ts'
import type { ConnectionIds } from './connection-ids.ts'
import {
  CLIENT_HELLO,
  CLIENT_KEY_EXCHANGE,
  createReassembly,
  FINISHED,
  type Fragment,
  type HandshakeMessage,
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
  RANDOM,
  RENEGOTIATION_INFO,
  readClientHello,
  readConnectionId,
  writeConnectionId,
  writeServerHello,
} from './hello.ts'
import { extendedMasterSecret, masterSecret, transcriptHash, verifyData } from './key-schedule.ts'
import { type Agreement, negotiate } from './negotiation.ts'
import { CHANGE_CIPHER_SPEC, copyRecord, type DtlsRecord, HANDSHAKE, TLS12_CID } from './record.ts'
import type { Suite } from './suite.ts'

/** ms */
const FIRST_RETRANSMIT = 1000
const MAX_RETRANSMITS = 5
const MAX_IDENTITY = 128
/** Records of epoch 1 kept while the key exchange before them is still missing. */
const MAX_EARLY = 4
/** Bytes that are more than a protected Finished takes. */
const FINISHED_RECORD = 128

export interface Handshake {
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

export interface HandshakeParts {
  readonly clock: Clock
  /** Handshakes at once; the oldest is given up for another. */
  readonly max: number
  /** Undefined when none are offered. */
  readonly cids: ConnectionIds | undefined
  keyOf(identity: string): Buffer | undefined
  count(event: string): void
  readonly refused: ((peer: Peer, identity: string | undefined, reason: string) => void) | undefined
  completed(handshake: Handshake): void
  abandoned(handshake: Handshake): void
}

export interface ServerHandshakes {
  /** @param fragment the beginning of a ClientHello whose cookie is good. @param clientRandom in it */
  begin(connection: Connection, fragment: Fragment, clientRandom: Buffer): Handshake
  /** A fragment without protection. False when it is of no use, such as one of a message already taken. */
  take(handshake: Handshake, fragment: Fragment): boolean
  /** A record of epoch 1: the client's Finished. */
  finishing(handshake: Handshake, record: DtlsRecord): void
  abandon(handshake: Handshake): void
  of(connection: Connection): Handshake | undefined
  abandonAll(): void
  readonly size: number
}

/** What ends a handshake, and is sent again when the client's Finished comes again. */
export function lastFlight({ finished }: Connection): FlightPart[] {
  if (!finished) return []
  const body = Buffer.from(finished.body, 'latin1')
  return [
    { epoch: 0, type: CHANGE_CIPHER_SPEC, body: Buffer.from([1]) },
    { epoch: 1, type: HANDSHAKE, body: writeMessage(FINISHED, finished.sequence, body) },
  ]
}

export function createServerHandshakes(parts: HandshakeParts): ServerHandshakes {
  const { clock } = parts
  const all = new Map<string, Handshake>()

  function begin(connection: Connection, fragment: Fragment, clientRandom: Buffer): Handshake {
    for (const oldest of all.values()) {
      if (all.size < parts.max) break
      abandon(oldest)
    }
    const handshake: Handshake = {
      connection,
      reassembly: createReassembly(fragment.sequence),
      // A copy: the datagram it is a view of need not stay in memory.
      clientRandom: Buffer.from(clientRandom),
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
    all.set(connection.key, handshake)
    retransmitLater(handshake)
    return handshake
  }

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
    const agreed = negotiate(hello)
    if ('alert' in agreed) {
      fail(handshake, agreed.alert, agreed.reason)
      return
    }
    handshake.suite = agreed.suite
    handshake.extended = agreed.extended
    handshake.transcript.push(message.whole)
    const extensions = answers(handshake, hello, agreed)
    send(handshake, SERVER_HELLO, writeServerHello(handshake.serverRandom, agreed.suite.id, extensions))
    send(handshake, SERVER_HELLO_DONE, Buffer.alloc(0))
    handshake.stage = 'key'
    handshake.connection.flight(handshake.flight)
  }

  function answers({ connection }: Handshake, hello: ClientHello, agreed: Agreement): Extension[] {
    const extensions: Extension[] = []
    if (agreed.extended) extensions.push([EXTENDED_MASTER_SECRET, Buffer.alloc(0)])
    if (agreed.renegotiationInfo) extensions.push([RENEGOTIATION_INFO, Buffer.from([0])])
    const offered = parts.cids && hello.extensions.get(CONNECTION_ID)
    const theirs = offered && readConnectionId(offered)
    if (theirs && parts.cids) {
      if (theirs.length > 0) connection.theirCid = Buffer.from(theirs)
      extensions.push([CONNECTION_ID, writeConnectionId(parts.cids.assign(connection))])
    }
    return extensions
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
    const psk = parts.keyOf(identity) ?? randomBytes(16)
    handshake.transcript.push(message.whole)
    handshake.master = handshake.extended
      ? extendedMasterSecret(psk, transcriptHash(handshake.transcript))
      : masterSecret(psk, Buffer.concat([clientRandom, serverRandom]))
    if (suite) connection.protect(suite, handshake.master, Buffer.concat([serverRandom, clientRandom]), 'server')
    handshake.stage = 'finished'
    for (const record of handshake.early.splice(0)) finishing(handshake, record)
  }

  /** A record of epoch 1 for a handshake: its Finished. */
  function finishing(handshake: Handshake, record: DtlsRecord): void {
    const { connection } = handshake
    if (handshake.stage !== 'finished') {
      if (handshake.early.length < MAX_EARLY && record.fragment.length <= FINISHED_RECORD)
        handshake.early.push(copyRecord(record))
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
    connection.finished = { sequence: handshake.sequence, body: body.toString('latin1') }
    connection.flight(lastFlight(connection))
    forget(handshake)
    connection.state = 'open'
    parts.completed(handshake)
  }

  function send(handshake: Handshake, type: number, body: Buffer): void {
    const message = writeMessage(type, handshake.sequence++, body)
    handshake.transcript.push(message)
    handshake.flight.push({ epoch: 0, type: HANDSHAKE, body: message })
  }

  function retransmitLater(handshake: Handshake): void {
    handshake.timer = clock.after(FIRST_RETRANSMIT * 2 ** handshake.attempts, () => {
      if (handshake.attempts++ === MAX_RETRANSMITS) {
        parts.count('dtls_timeouts')
        abandon(handshake)
        return
      }
      if (handshake.flight.length > 0) handshake.connection.flight(handshake.flight)
      retransmitLater(handshake)
    })
  }

  function fail(handshake: Handshake, alert: number, reason: string): void {
    parts.count('dtls_refused')
    handshake.connection.alert(FATAL, alert)
    parts.refused?.(handshake.connection.lower, handshake.connection.identity, reason)
    abandon(handshake)
  }

  function forget(handshake: Handshake): void {
    handshake.timer?.cancel()
    all.delete(handshake.connection.key)
  }

  function abandon(handshake: Handshake): void {
    const { connection } = handshake
    forget(handshake)
    connection.close()
    parts.cids?.release(connection)
    parts.abandoned(handshake)
  }

  return {
    begin,
    take(handshake, fragment) {
      if (!handshake.reassembly.add(fragment)) return false
      progress(handshake)
      return true
    },
    finishing,
    abandon,
    of: (connection) => all.get(connection.key),
    abandonAll() {
      for (const handshake of [...all.values()]) abandon(handshake)
    },
    get size() {
      return all.size
    },
  }
}
