/** A peer made by hand, to say what libzmq never would. */
import { connect } from 'node:net'
import type { TestContext } from 'node:test'

export interface RawPeer {
  write(bytes: Uint8Array): void
  /** Stops reading. */
  pause(): void
  resume(): void
  end(): void
  /** Resolves when this text has come. */
  received(text: string): Promise<void>
  /** Resolves when the connection is over. */
  readonly closed: Promise<void>
  readonly open: boolean
}

/** A connection on which nothing was said yet. */
export async function rawConnection(t: TestContext, port: number): Promise<RawPeer> {
  const socket = connect({ port, host: '127.0.0.1', allowHalfOpen: true })
  t.after(() => socket.destroy())
  let text = ''
  let open = true
  socket.on('error', () => {})
  const closed = new Promise<void>((resolve) => {
    const over = () => {
      open = false
      resolve()
    }
    socket.once('close', over)
    socket.once('end', over)
  })
  socket.on('data', (chunk) => {
    text += chunk.toString('latin1')
  })
  await new Promise<void>((resolve) => {
    socket.once('connect', resolve)
    socket.once('close', () => resolve())
  })
  return {
    write: (bytes) => void socket.write(bytes),
    pause: () => void socket.pause(),
    resume: () => void socket.resume(),
    end: () => socket.end(),
    received: (wanted) =>
      new Promise((resolve) => {
        const look = () => {
          if (!text.includes(wanted)) return
          socket.off('data', look)
          resolve()
        }
        socket.on('data', look)
        look()
      }),
    closed,
    get open() {
      return open
    },
  }
}

export function greetingBytes(minor = 1, mechanism = 'NULL'): Buffer {
  const greeting = Buffer.alloc(64)
  greeting.set([0xff, 0, 0, 0, 0, 0, 0, 0, 1, 0x7f, 3, minor])
  greeting.write(mechanism, 12)
  return greeting
}

export function commandBytes(body: string): Buffer {
  return Buffer.concat([Buffer.from([4, body.length]), Buffer.from(body, 'latin1')])
}

export function readyBytes(type: string): Buffer {
  return commandBytes(`\x05READY\x0bSocket-Type\0\0\0${String.fromCharCode(type.length)}${type}`)
}

/** One that has been let in with NULL; waits until somebody listens. */
export async function rawPeer(t: TestContext, port: number, type: string, minor = 1): Promise<RawPeer> {
  let peer = await rawConnection(t, port)
  while (!peer.open) peer = await rawConnection(t, port)
  peer.write(Buffer.concat([greetingBytes(minor), readyBytes(type)]))
  await peer.received('READY')
  return peer
}
