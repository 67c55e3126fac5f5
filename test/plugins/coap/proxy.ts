/** A bad network over real sockets: a UDP proxy that loses, doubles and swaps datagrams, and may change its own address. */
import { createSocket, type Socket } from 'node:dgram'
import type { TestContext } from 'node:test'

export interface Proxy {
  readonly port: number
  /** From now on the client is seen at another port, as behind a NAT that forgot it. */
  remap(): Promise<void>
}

export interface Weather {
  /** How many copies of the nth datagram arrive. Default 1. */
  readonly fate?: (nth: number) => number
  /** Whether the nth datagram is held back until the one after it. */
  readonly late?: (nth: number) => boolean
}

export async function startProxy(t: TestContext, target: number, weather: Weather = {}): Promise<Proxy> {
  const inside = await bound()
  let outside = await bound()
  const all = [inside, outside]
  let client = 0
  let nth = 0
  let held: (() => void) | undefined

  function pass(send: () => void): void {
    const copies = weather.fate?.(nth) ?? 1
    const late = weather.late?.(nth) ?? false
    nth++
    const before = held
    held = undefined
    const all = () => {
      for (let i = 0; i < copies; i++) send()
    }
    if (late) held = all
    else all()
    before?.()
  }

  const listen = (socket: Socket) =>
    socket.on('message', (data) => pass(() => inside.send(data, client, '127.0.0.1', () => {})))
  inside.on('message', (data, from) => {
    client = from.port
    pass(() => outside.send(data, target, '127.0.0.1', () => {}))
  })
  listen(outside)
  t.after(() => {
    for (const socket of all) socket.close()
  })
  return {
    port: inside.address().port,
    async remap() {
      outside = await bound()
      all.push(outside)
      listen(outside)
    },
  }
}

function bound(): Promise<Socket> {
  return new Promise((resolve) => {
    const socket = createSocket('udp4')
    socket.bind(0, '127.0.0.1', () => resolve(socket))
  })
}
