/** What the AMQP library takes for a socket: behind the guard, with its small writes put together. */
import { EventEmitter } from 'node:events'
import type { Socket } from 'node:net'
import { createGuard, type GuardOptions } from './guard.ts'

/** A peer that does not read what we write is let go at this, bytes. */
const MAX_BACKLOG = 4 * 1024 * 1024

/** As far as the library uses a socket. */
export interface Channel extends EventEmitter {
  write(bytes: Uint8Array): boolean
  end(): void
  destroy(): void
  get_id_string(): string
  /** Goes on with what the socket brings. @param rest came already */
  begin(rest: Buffer): void
}

/** @param violated is told why the connection is ended for the peer's fault */
export function createChannel(
  socket: Socket,
  options: Omit<GuardOptions, 'frames'>,
  violated: (reason: string) => void,
): Channel {
  const events = new EventEmitter()
  const guard = createGuard({ ...options, frames: (frames) => events.emit('data', frames) })
  let corked = false
  let ended = false

  const uncork = () => {
    corked = false
    socket.uncork()
  }
  const end = () => {
    if (ended) return
    ended = true
    events.emit('end')
  }
  const push = (chunk: Buffer) => {
    if (ended || chunk.length === 0) return
    try {
      guard.push(chunk)
    } catch (error) {
      violated(error instanceof Error ? error.message : String(error))
      socket.destroy()
    }
  }

  return Object.assign(events, {
    write(bytes: Uint8Array) {
      if (socket.destroyed) return false
      if (!corked) {
        corked = true
        socket.cork()
        process.nextTick(uncork)
      }
      if (socket.writableLength > MAX_BACKLOG) {
        violated('it does not read')
        socket.destroy()
        return false
      }
      return socket.write(bytes)
    },
    end: () => {
      socket.end()
    },
    destroy: () => {
      socket.destroy()
    },
    get_id_string: () => `${socket.remoteAddress}:${socket.remotePort}`,
    begin(rest: Buffer) {
      socket.on('data', push)
      socket.once('end', end)
      socket.once('close', end)
      push(rest)
    },
  })
}
