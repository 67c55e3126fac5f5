/** A connection to the broker; cut after the test. */
import { connect, type Socket } from 'node:net'
import type { TestContext } from 'node:test'
import { bounded } from './support.ts'

export interface Wire {
  readonly socket: Socket
  /** Resolves when the connection has ended. */
  readonly closed: Promise<void>
  /** Resolves when there is `enough`, asked whenever something has come, or when the connection has ended. */
  until(enough: () => boolean, what: () => string): Promise<void>
}

/** @param take is given what comes */
export function openWire(t: TestContext, port: number, take: (chunk: Buffer) => void): Wire {
  let wake = () => {}
  let ended = false
  const socket = connect({ port, host: '127.0.0.1', noDelay: true })
  socket.on('error', () => {})
  socket.on('data', (chunk) => {
    take(chunk)
    wake()
  })
  const gone = new Promise<void>((resolve) => {
    socket.on('close', () => {
      ended = true
      wake()
      resolve()
    })
  })
  const closed = bounded(gone, () => 'close')
  closed.catch(() => {})
  t.after(() => socket.destroy())
  const something = async (enough: () => boolean) => {
    while (!enough() && !ended) await new Promise<void>((resolve) => (wake = resolve))
  }
  return { socket, closed, until: (enough, what) => bounded(something(enough), what) }
}
