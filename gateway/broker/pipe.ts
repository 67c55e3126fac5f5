/**
 * The stream that aedes takes for the socket. What aedes writes goes out at once, so that one slow subscriber never
 * holds back the others; how much waits for it is seen on the socket, and judged there.
 */
import { Duplex } from 'node:stream'
import { packetLength } from './framing.ts'

/** The connection's side of it. */
export interface PipeEnd {
  /** Bytes for the client. */
  write(bytes: Uint8Array): void
  /** aedes has ended the connection; without an error, what was sent may still flow out. */
  ended(error: Error | null): void
  /** aedes has read what it was given. */
  caughtUp(): void
}

const CONNACK = 0x20
/** More than this that aedes has not read yet: the socket is not read either. */
const INBOX = 64 * 1024
/** Writes smaller than this, all together, become one. */
const JOINED = 32 * 1024

export class Pipe<Peer extends PipeEnd> extends Duplex {
  readonly peer: Peer
  /** What was written before the CONNACK, which has to come first. Null from then on. */
  #early: Buffer | null = Buffer.alloc(0)
  /** Whether `push` said that this is enough. */
  #full = false

  constructor(peer: Peer) {
    super({ readableHighWaterMark: INBOX, writableHighWaterMark: Number.MAX_SAFE_INTEGER })
    this.peer = peer
  }

  /** Bytes from the client. False: enough, until `caughtUp`. */
  give(bytes: Buffer): boolean {
    this.#full = !this.push(bytes)
    return !this.#full
  }

  override _read(): void {
    if (!this.#full) return
    this.#full = false
    // Not from within the read: what comes next would be pushed under its feet.
    queueMicrotask(() => this.peer.caughtUp())
  }

  override _write(chunk: Buffer, _encoding: BufferEncoding, done: () => void): void {
    this.#send(chunk)
    done()
  }

  override _writev(chunks: { chunk: Buffer }[], done: () => void): void {
    let total = 0
    for (const { chunk } of chunks) total += chunk.length
    if (total <= JOINED) this.#send(Buffer.concat(chunks.map(({ chunk }) => chunk)))
    else for (const { chunk } of chunks) this.#send(chunk)
    done()
  }

  override _destroy(error: Error | null, done: (error: Error | null) => void): void {
    this.peer.ended(error)
    done(error)
  }

  #send(bytes: Buffer): void {
    if (this.#early === null) this.peer.write(bytes)
    else this.#sendConnackFirst(Buffer.concat([this.#early, bytes]))
  }

  /** A restored session may be sent messages before its CONNACK is written; they wait for it (MQTT-3.2.0-1). */
  #sendConnackFirst(written: Buffer): void {
    this.#early = written
    for (let at = 0; at < written.length; ) {
      const length = packetLength(written, at, written.length)
      if (length <= 0 || at + length > written.length) return
      if (written[at] === CONNACK) {
        this.#early = null
        this.peer.write(written.subarray(at, at + length))
        const rest = Buffer.concat([written.subarray(0, at), written.subarray(at + length)])
        if (rest.length > 0) this.peer.write(rest)
        return
      }
      at += length
    }
  }
}
