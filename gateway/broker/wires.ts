/** Sockets and WebSockets as the guard sees them. */
import { Socket } from 'node:net'
import type { WebSocket } from 'ws'
import type { Wire } from './connection.ts'

export class SocketWire implements Wire {
  readonly #socket: Socket
  drained: (() => void) | null = null
  #reading = true

  constructor(socket: Socket) {
    this.#socket = socket
    socket.on('drain', () => this.drained?.())
  }

  /**
   * Takes what the socket reads past Node's stream, which would read on after `pause` and keep it. `push` answers
   * whether the next read may follow; `_read` asks for it.
   */
  read(take: (chunk: Buffer) => void): void {
    const socket = this.#socket
    // What came with the handshake of TLS.
    const early = socket.readableLength > 0 ? (socket.read() as Buffer | null) : null
    if (early) take(early)
    socket.push = (chunk: Buffer | null) => {
      if (chunk === null) return Socket.prototype.push.call(socket, null)
      take(chunk)
      return this.#reading
    }
  }

  get queued(): number {
    return this.#socket.writableLength
  }

  write(bytes: Uint8Array): void {
    if (this.#socket.writable) this.#socket.write(bytes)
  }

  pause(): void {
    this.#reading = false
  }

  resume(): void {
    if (this.#reading) return
    this.#reading = true
    this.#socket._read(0)
  }

  end(): void {
    this.#socket.end()
  }

  destroy(): void {
    this.#socket.destroy()
  }
}

/** Close code for the end of an MQTT connection: normal closure (RFC 6455 section 7.4.1). */
const NORMAL = 1000

/** MQTT packets may span messages, and a message may hold several (MQTT 3.1.1 section 6). */
export class WebSocketWire implements Wire {
  readonly #socket: WebSocket
  readonly #sent = () => {
    if (this.#socket.bufferedAmount === 0) this.drained?.()
  }
  drained: (() => void) | null = null

  constructor(socket: WebSocket) {
    this.#socket = socket
  }

  get queued(): number {
    return this.#socket.bufferedAmount
  }

  write(bytes: Uint8Array): void {
    if (this.#socket.readyState === this.#socket.OPEN) this.#socket.send(bytes, { binary: true }, this.#sent)
  }

  pause(): void {
    this.#socket.pause()
  }

  resume(): void {
    this.#socket.resume()
  }

  end(): void {
    this.#socket.close(NORMAL)
  }

  destroy(): void {
    this.#socket.terminate()
  }
}
