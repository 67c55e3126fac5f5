/** One connection: greeting, handshake, traffic. */
import type { Socket } from 'node:net'
import type { Clock } from '../../gateway/plugin.ts'
import { Assembly } from './assembly.ts'
import { SEALED_MORE } from './curve.ts'
import { ZmtpError } from './errors.ts'
import { COMMAND, encodeFrame, FrameReader, frameLength, MORE, writeFrame } from './frame.ts'
import { checkGreeting, decodeGreeting, encodeGreeting, GREETING_LENGTH } from './greeting.ts'
import type { Mechanism, MechanismFactory } from './mechanism.ts'
import { Pulse } from './pulse.ts'
import { partnerOf, propertiesOf, type SocketType } from './socket-type.ts'
import {
  dataOf,
  encodeError,
  encodeMetadata,
  encodePing,
  isCommand,
  type Metadata,
  pongFor,
  reasonIn,
} from './wire-command.ts'

const MAX_IDENTITY = 255
/** What we have written and the peer has not read, bytes: beyond it a peer that only makes us answer is cut off. */
const MAX_ANSWERS = 256 * 1024
/** Tells the PONG of a `sync` from that of a heartbeat. */
const SYNC = Buffer.from('sync')

export interface PeerLimits {
  /** Longest message, bytes, all its frames together. */
  readonly message: number
  /** ms for greeting and handshake. */
  readonly handshake: number
  /** ms of silence after which we ask whether the peer lives. */
  readonly heartbeat: number
}

export interface PeerOptions {
  readonly type: SocketType
  readonly mechanism: MechanismFactory
  readonly limits: PeerLimits
  readonly clock: Clock
  readonly handlers: PeerHandlers
}

export interface PeerHandlers {
  /** The peer is let in. */
  ready?(peer: Peer): void
  /** A whole message; its frames stay valid. False: no room, call `resume` later. */
  message(peer: Peer, parts: readonly Buffer[]): boolean
  /** A command that is not the connection's own business, such as SUBSCRIBE. @throws ZmtpError */
  command?(peer: Peer, body: Buffer): void
  /** It is over; called once, also when the handshake failed. */
  closed(peer: Peer, reason: Error): void
}

type State = 'greeting' | 'handshake' | 'traffic' | 'draining' | 'closed'

export class Peer {
  readonly socket: Socket
  /** Network address, for people. */
  readonly remote: string
  /** ZMTP Identity, empty when the peer gives none. */
  identity: Buffer = Buffer.alloc(0)
  socketType = ''
  readonly #options: PeerOptions
  readonly #mechanism: Mechanism
  readonly #reader: FrameReader
  readonly #pongs: (() => void)[] = []
  readonly #message: Assembly
  readonly #pulse: Pulse
  readonly #opened: number
  #state: State = 'greeting'
  #greeting = Buffer.alloc(0)
  #minor = 0
  #blocked = false
  /** Why it is over, while what was read still waits for room. */
  #ending: Error | undefined

  constructor(socket: Socket, options: PeerOptions) {
    const { type, mechanism, limits, clock } = options
    this.socket = socket
    this.remote = socket.remoteAddress === undefined ? 'ipc' : `${socket.remoteAddress}:${socket.remotePort}`
    this.#options = options
    this.#mechanism = mechanism(encodeMetadata(propertiesOf(type)))
    this.#reader = new FrameReader(limits.message + SEALED_MORE)
    this.#opened = clock.monotonic()
    this.#pulse = new Pulse(limits.heartbeat, this.#opened)
    this.#message = new Assembly(limits.message)
    socket.setNoDelay(true)
    socket.setKeepAlive(true, limits.heartbeat)
    socket.on('data', (chunk) => this.#guarded(() => this.#data(chunk)))
    socket.on('end', () => this.#over(new ZmtpError('ended', 'the peer has hung up')))
    socket.on('error', (cause) => this.#over(new ZmtpError('broken', 'the connection broke', { cause })))
    socket.on('close', () => this.#over(new ZmtpError('ended', 'the connection is closed')))
    socket.write(encodeGreeting(this.#mechanism.name, this.#mechanism.asServer))
  }

  /** Who the peer has shown to be; undefined where nobody asks. */
  get user(): string | undefined {
    return this.#mechanism.user
  }

  get ready(): boolean {
    return this.#state === 'traffic'
  }

  /** Whether subscriptions are commands here (ZMTP 3.1) and not messages (3.0). */
  get modern(): boolean {
    return this.#minor >= 1
  }

  /** Bytes that wait in this process for the peer to read. */
  get waiting(): number {
    return this.socket.writableLength
  }

  /** Bytes that were read and found no room yet. */
  get held(): number {
    return this.#blocked ? this.#message.size + this.#reader.left : 0
  }

  /** Sends one message; nothing when the connection is over. */
  send(parts: readonly Uint8Array[]): void {
    if (this.#state === 'traffic') this.socket.write(this.#encoded(parts))
  }

  sendCommand(body: Buffer): void {
    if (this.#state !== 'traffic') return
    const { seal } = this.#mechanism
    this.socket.write(seal ? encodeFrame(0, seal(COMMAND, body)) : encodeFrame(COMMAND, body))
  }

  /**
   * Calls back when the peer has read all that was sent before: it answers a PING in the order in which things came. A
   * peer of ZMTP 3.0 knows no PING; there it is called when the system has taken everything.
   */
  sync(done: () => void): void {
    if (!this.modern) {
      this.socket.write('', () => done())
      return
    }
    this.#pongs.push(done)
    this.sendCommand(encodePing(0, SYNC))
  }

  /** Goes on after `message` said false. */
  resume(): void {
    if (!this.#blocked || this.#state === 'closed') return
    this.#blocked = false
    this.#guarded(() => {
      if (this.#deliver()) this.#cut()
    })
    if (this.#blocked) return
    if (this.#ending) this.close(this.#ending)
    else if (!this.socket.destroyed) this.socket.resume()
  }

  /** Looks at the clock: handshakes that take too long, peers that are gone. */
  check(): void {
    const { limits, clock } = this.#options
    const now = clock.monotonic()
    if (this.#state === 'greeting' || this.#state === 'handshake') {
      if (now - this.#opened >= limits.handshake)
        this.close(new ZmtpError('handshake_timeout', 'the handshake took too long'))
      return
    }
    // Whom we do not listen to may be silent.
    if (this.#state !== 'traffic' || this.#blocked) return
    const pulse = this.#pulse
    const health = pulse.look(now, this.modern)
    if (health === 'gone') this.close(new ZmtpError('silent', 'the peer fell silent'))
    else if (health === 'ask') this.sendCommand(encodePing(pulse.asked))
  }

  /** Lets the peer know that we go, and takes what it has sent until it hangs up; `closed` follows. */
  drain(): void {
    if (this.#state !== 'traffic') this.close(new ZmtpError('stopping', 'the gateway is stopping'))
    else {
      this.#state = 'draining'
      this.socket.end()
    }
  }

  /** The connection is over. What was read is the gateway's own all the same: it is taken before. */
  #over(reason: Error): void {
    if (this.#blocked) this.#ending ??= reason
    else this.close(reason)
  }

  close(reason: Error): void {
    if (this.#state === 'closed') return
    this.#state = 'closed'
    this.socket.destroy()
    this.#options.handlers.closed(this, reason)
    this.#message.clear()
  }

  #guarded(work: () => void): void {
    try {
      work()
    } catch (error) {
      const reason = error instanceof ZmtpError ? error : new ZmtpError('failed', 'it failed', { cause: error })
      // In the handshake the peer may be told why (37/ZMTP, "ERROR").
      if (this.#state === 'handshake' && reason.reason === 'refused')
        this.socket.write(encodeFrame(COMMAND, encodeError('400')))
      this.close(reason)
    }
  }

  #data(chunk: Buffer): void {
    this.#pulse.heard(this.#options.clock.monotonic())
    if (this.#state === 'greeting') this.#greet(chunk)
    else {
      this.#reader.push(chunk)
      this.#cut()
    }
  }

  #greet(chunk: Buffer): void {
    const all = Buffer.concat([this.#greeting, chunk])
    checkGreeting(all, all.length)
    if (all.length < GREETING_LENGTH) {
      this.#greeting = all
      return
    }
    const { minor, mechanism } = decodeGreeting(all)
    const mine = this.#mechanism
    if (mechanism !== mine.name)
      throw new ZmtpError('mechanism', `the peer wants ${JSON.stringify(mechanism)} and we ${mine.name}`)
    this.#minor = minor
    this.#greeting = Buffer.alloc(0)
    this.#state = 'handshake'
    const first = mine.start()
    if (first) this.socket.write(encodeFrame(COMMAND, first))
    if (all.length > GREETING_LENGTH) this.#data(all.subarray(GREETING_LENGTH))
  }

  /** Works through the frames that are complete, until there is no room. */
  #cut(): void {
    const reader = this.#reader
    while (this.#state !== 'closed' && reader.next()) {
      const { flags } = reader
      const body = reader.bytes.subarray(reader.start, reader.end)
      if (this.#state === 'handshake') this.#shakeHands(flags, body)
      else if (!this.#frame(flags, body)) return
    }
  }

  #shakeHands(flags: number, body: Buffer): void {
    if ((flags & COMMAND) === 0) throw new ZmtpError('handshake', 'a message comes before the handshake is done')
    if (isCommand(body, 'ERROR')) throw new ZmtpError('refused_by_peer', `the peer refuses us: ${reasonIn(body)}`)
    const { send, metadata } = this.#mechanism.receive(body)
    if (metadata) this.#know(metadata)
    if (send) this.socket.write(encodeFrame(COMMAND, send))
    if (!metadata) return
    this.#state = 'traffic'
    this.#options.handlers.ready?.(this)
  }

  #know(metadata: Metadata): void {
    this.socketType = partnerOf(this.#options.type, metadata)
    this.identity = Buffer.from(metadata.get('identity')?.subarray(0, MAX_IDENTITY) ?? '')
  }

  /** False when there is no room. */
  #frame(flags: number, body: Buffer): boolean {
    const { open } = this.#mechanism
    if (open) {
      const opened = open(body)
      return this.#plain(opened.flags, opened.body)
    }
    return this.#plain(flags, body)
  }

  #plain(flags: number, body: Buffer): boolean {
    if ((flags & COMMAND) !== 0) {
      this.#command(body)
      return true
    }
    return !this.#message.add(flags, body) || this.#deliver()
  }

  #deliver(): boolean {
    if (!this.#options.handlers.message(this, this.#message.parts)) {
      this.#blocked = true
      this.socket.pause()
      return false
    }
    this.#message.clear()
    return true
  }

  #command(body: Buffer): void {
    if (isCommand(body, 'PING')) {
      const { pong, ttl } = pongFor(body)
      this.#pulse.ttl = ttl
      if (this.waiting > MAX_ANSWERS) throw new ZmtpError('flood', 'the peer asks and does not read the answers')
      this.sendCommand(pong)
    } else if (isCommand(body, 'PONG')) {
      if (dataOf(body).equals(SYNC)) this.#pongs.shift()?.()
    } else this.#options.handlers.command?.(this, body)
  }

  #encoded(parts: readonly Uint8Array[]): Buffer {
    const { seal } = this.#mechanism
    if (seal) {
      const sealed = parts.map((part, i) => encodeFrame(0, seal(i < parts.length - 1 ? MORE : 0, part)))
      return Buffer.concat(sealed)
    }
    let length = 0
    for (const part of parts) length += frameLength(part.length)
    const bytes = Buffer.allocUnsafe(length)
    let at = 0
    for (let i = 0; i < parts.length; i++)
      at = writeFrame(bytes, at, i < parts.length - 1 ? MORE : 0, parts[i] as Uint8Array)
    return bytes
  }
}
