/**
 * MQTT devices that remember what the gateway promised them. Each reading is sent once, never again: after a crash it is
 * either acknowledged (and must be counted exactly once) or not (and may be counted once, or never).
 *
 * A reading's value is a power of four chosen by its place in its ten-second window, so that the base-4 digits of a
 * window's sum say how often each reading was counted.
 */
import { connect, type Socket } from 'node:net'
import { generate } from 'mqtt-packet'

export const READINGS_PER_WINDOW = 10
const IN_FLIGHT = 60

export interface Promises {
  /** Readings sent, per device: numbers 0 … sent-1. */
  readonly sent: number[]
  /** Which of them were acknowledged. */
  readonly acknowledged: Set<number>[]
  /** How many in all. */
  readonly total: number
  /** Resolves when so many were acknowledged in all. */
  reached(total: number): Promise<void>
  acknowledge(device: number, n: number): void
}

export function createPromises(devices: number): Promises {
  const acknowledged = Array.from({ length: devices }, () => new Set<number>())
  let total = 0
  let waiting: { readonly total: number; readonly done: () => void }[] = []
  return {
    sent: new Array<number>(devices).fill(0),
    acknowledged,
    get total() {
      return total
    },
    reached: (wanted) =>
      total >= wanted ? Promise.resolve() : new Promise((done) => void waiting.push({ total: wanted, done })),
    acknowledge(device, n) {
      acknowledged[device]?.add(n)
      total++
      if (waiting.length === 0) return
      for (const waiter of waiting) if (waiter.total <= total) waiter.done()
      waiting = waiting.filter((waiter) => waiter.total > total)
    },
  }
}

export function deviceName(device: number): string {
  return `crash-${device}`
}

function packet(device: number, n: number, base: number): Buffer {
  const payload = JSON.stringify({ t: base + n * 1000, v: 4 ** (n % READINGS_PER_WINDOW) })
  return generate({
    cmd: 'publish',
    topic: `telemetry/${deviceName(device)}`,
    payload,
    qos: 1,
    retain: false,
    dup: false,
    messageId: (n % 65_535) + 1,
  })
}

export interface Sender {
  /** Resolves when the connection ended, for whatever reason. */
  readonly ended: Promise<void>
  /** Resolves when `limit` messages were acknowledged, or the connection ended. */
  readonly finished: Promise<void>
  destroy(): void
}

/** One connection that publishes for all devices in turn, keeping at most 60 unacknowledged, `limit` in all. */
export async function publish(port: number, promises: Promises, base: number, limit = Infinity): Promise<Sender> {
  const socket = connect(port, '127.0.0.1')
  await new Promise((resolve, reject) => socket.once('connect', resolve).once('error', reject))
  const clientId = `crash-sender-${port}-${promises.sent.reduce((a, b) => a + b, 0)}`
  socket.write(
    generate({ cmd: 'connect', protocolId: 'MQTT', protocolVersion: 4, clean: true, clientId, keepalive: 60 }),
  )
  return start(socket, promises, base, limit)
}

function start(socket: Socket, promises: Promises, base: number, limit: number): Sender {
  const waiting: { device: number; n: number }[] = []
  const devices = promises.sent.length
  let turn = 0
  let connected = false
  let bytes = Buffer.alloc(0)
  let acknowledgeAll: () => void = () => undefined
  const finished = new Promise<void>((resolve) => {
    acknowledgeAll = resolve
  })
  const ended = new Promise<void>((resolve) => {
    socket.on('error', () => undefined)
    socket.on('close', () => {
      acknowledgeAll()
      resolve()
    })
  })
  const fill = () => {
    while (connected && turn < limit && waiting.length < IN_FLIGHT) {
      const device = turn++ % devices
      const n = promises.sent[device] as number
      promises.sent[device] = n + 1
      waiting.push({ device, n })
      socket.write(packet(device, n, base))
    }
    if (turn >= limit && waiting.length === 0) acknowledgeAll()
  }
  socket.on('data', (chunk) => {
    bytes = Buffer.concat([bytes, chunk])
    while (bytes.length >= 4) {
      if (bytes[0] === 0x40) {
        const first = waiting.shift()
        if (!first || (first.n % 65_535) + 1 !== bytes.readUInt16BE(2)) throw new Error('a PUBACK out of order')
        promises.acknowledge(first.device, first.n)
      } else connected = true
      bytes = bytes.subarray(4)
    }
    fill()
  })
  return { ended, finished, destroy: () => socket.destroy() }
}
