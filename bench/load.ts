/**
 * The load generator: a process of its own that writes pre-encoded PUBLISH packets in large chunks, so that it costs a
 * small part of what it measures. QoS 0 writes as fast as the socket takes it; QoS 1 keeps `pipeline` packets in flight
 * per connection.
 *
 *   node load.cjs '{"port":1883,"connections":50,"messages":2000000,"qos":0,"devices":5000}'
 *
 * Prints one JSON line when everything was written (QoS 0) or acknowledged (QoS 1): seconds, CPU, PUBACK latencies.
 */
import { connect, type Socket } from 'node:net'
import { generate } from 'mqtt-packet'
import { payload } from './payload.ts'

export interface Load {
  readonly port: number
  readonly connections: number
  readonly messages: number
  readonly qos: 0 | 1
  readonly devices: number
  /** QoS 1: packets in flight per connection. */
  readonly pipeline: number
  /** Messages per second in all, 0 for as fast as it goes. */
  readonly rate: number
  /** Event time of the first reading, ms since the epoch. */
  readonly start: number
  /** Event time between two readings of a device, ms. */
  readonly step: number
  /** 5: each message says its content type. */
  readonly version: 4 | 5
  /** Latencies of what was sent in this first time are left out, ms: the gateway compiles its code meanwhile. */
  readonly warmUp: number
}

const CHUNK_MESSAGES = 250

/** One connection's packets in chunks of CHUNK_MESSAGES, and where the event time stands in each. */
interface Encoded {
  readonly chunks: readonly Buffer[]
  readonly counts: readonly number[]
  /** Offsets of the event times. */
  readonly times: readonly Uint32Array[]
  /** How many readings of its device precede each message, in the first round. */
  readonly ages: readonly Uint32Array[]
  /** Readings per device in a round. */
  readonly round: number
}

/** Encoded once; each further round of the same packets only gets later event times. */
function encode(load: Load, connection: number): Encoded {
  const mine = Math.floor(load.devices / load.connections)
  const total = Math.floor(load.messages / load.connections)
  const round = Math.max(1, Math.ceil(CHUNK_MESSAGES / mine))
  const cycle = Math.min(total, mine * round)
  const chunks: Buffer[] = []
  const counts: number[] = []
  const times: Uint32Array[] = []
  const ages: Uint32Array[] = []
  for (let at = 0; at < cycle; at += CHUNK_MESSAGES) {
    const packets: Buffer[] = []
    const places: number[] = []
    const turns: number[] = []
    let length = 0
    for (let i = at; i < Math.min(cycle, at + CHUNK_MESSAGES); i++) {
      const device = connection * mine + (i % mine)
      const topic = `telemetry/dvc${device}`
      const body = payload(device, load.start, i)
      const packet = generate(
        {
          cmd: 'publish',
          topic,
          payload: body,
          qos: load.qos,
          retain: false,
          dup: false,
          messageId: (i % 65_535) + 1,
          properties: { contentType: 'application/json' },
        },
        { protocolVersion: load.version },
      )
      places.push(length + packet.indexOf('"event_time":"') + 14)
      turns.push(Math.floor(i / mine))
      packets.push(packet)
      length += packet.length
    }
    chunks.push(Buffer.concat(packets))
    counts.push(packets.length)
    times.push(Uint32Array.from(places))
    ages.push(Uint32Array.from(turns))
  }
  return { chunks, counts, times, ages, round }
}

/** The chunk with the event times of its round. A copy: what was written before may still wait in the socket. */
function chunkOf(load: Load, encoded: Encoded, index: number): { bytes: Buffer; count: number } {
  const at = index % encoded.chunks.length
  const bytes = Buffer.from(encoded.chunks[at] as Buffer)
  const base = Math.floor(index / encoded.chunks.length) * encoded.round
  const times = encoded.times[at] as Uint32Array
  const ages = encoded.ages[at] as Uint32Array
  let text = ''
  let last = -1
  for (let i = 0; i < times.length; i++) {
    const age = base + (ages[i] as number)
    if (age !== last) text = new Date(load.start + age * load.step).toISOString()
    last = age
    bytes.write(text, times[i] as number, 'latin1')
  }
  return { bytes, count: encoded.counts[at] as number }
}

interface Sender {
  readonly socket: Socket
  readonly encoded: Encoded
  readonly total: number
  sent: number
  acked: number
  next: number
}

async function open(load: Load, connection: number): Promise<Sender> {
  const encoded = encode(load, connection)
  const socket = connect({ port: load.port, host: '127.0.0.1' })
  await new Promise((resolve, reject) => socket.once('connect', resolve).once('error', reject))
  socket.setNoDelay(true)
  socket.write(
    generate({
      cmd: 'connect',
      protocolId: 'MQTT',
      protocolVersion: load.version,
      clean: true,
      clientId: `load-${process.pid}-${connection}`,
      keepalive: 300,
    }),
  )
  await new Promise((resolve) => socket.once('data', resolve))
  return { socket, encoded, total: Math.floor(load.messages / load.connections), sent: 0, acked: 0, next: 0 }
}

const latencies: number[] = []

/** QoS 0: writes until all is handed to the kernel. */
async function flood(sender: Sender, load: Load, began: number): Promise<void> {
  const share = load.rate / load.connections
  while (sender.sent < sender.total) {
    const { bytes, count } = chunkOf(load, sender.encoded, sender.next++)
    const more = sender.socket.write(bytes)
    sender.sent += count
    if (!more) await new Promise((resolve) => sender.socket.once('drain', resolve))
    if (share > 0) await pace(sender.sent / share, began)
  }
  const closed = new Promise((resolve) => sender.socket.once('close', resolve))
  sender.socket.end(Buffer.from([0xe0, 0]))
  await closed
}

async function pace(due: number, began: number): Promise<void> {
  const wait = began + due * 1000 - performance.now()
  if (wait > 0) await new Promise((resolve) => setTimeout(resolve, wait))
}

/** QoS 1: a chunk goes out whenever fewer than `pipeline` packets are unacknowledged. */
function pipelined(sender: Sender, load: Load, began: number): Promise<void> {
  const share = load.rate / load.connections
  const sentAt: { upTo: number; time: number }[] = []
  let partial = 0
  return new Promise((resolve, reject) => {
    const pump = () => {
      while (sender.sent < sender.total && sender.sent - sender.acked + CHUNK_PIPELINE <= load.pipeline) {
        if (share > 0) {
          const wait = began + (sender.sent / share) * 1000 - performance.now()
          if (wait > 1) {
            setTimeout(pump, wait)
            return
          }
        }
        writeSlice(load, sender)
        sentAt.push({ upTo: sender.sent, time: performance.now() })
      }
    }
    sender.socket.on('error', reject)
    sender.socket.on('data', (chunk) => {
      partial += chunk.length
      sender.acked += partial >> 2
      partial &= 3
      const now = performance.now()
      while (sentAt[0] && sentAt[0].upTo <= sender.acked) {
        const { time } = sentAt.shift() as { time: number }
        if (time >= began + load.warmUp) latencies.push(now - time)
      }
      if (sender.acked >= sender.total) {
        sender.socket.end(Buffer.from([0xe0, 0]))
        resolve()
      } else pump()
    })
    pump()
  })
}

const CHUNK_PIPELINE = 25
const slices = new Map<Sender, { bytes: Buffer; byte: number }>()

/** Writes the next CHUNK_PIPELINE packets, by walking the fixed headers of the encoded chunk. */
function writeSlice(load: Load, sender: Sender): void {
  const place = slices.get(sender) ?? { bytes: Buffer.alloc(0), byte: 0 }
  if (place.byte >= place.bytes.length) {
    place.bytes = chunkOf(load, sender.encoded, sender.next++).bytes
    place.byte = 0
  }
  const chunk = place.bytes
  const from = place.byte
  let count = 0
  while (count < CHUNK_PIPELINE && place.byte < chunk.length) {
    let at = place.byte + 1
    let length = 0
    let shift = 0
    for (;;) {
      const digit = chunk[at++] as number
      length |= (digit & 127) << shift
      shift += 7
      if (digit < 128) break
    }
    place.byte = at + length
    count++
  }
  sender.socket.write(chunk.subarray(from, place.byte))
  sender.sent += count
  slices.set(sender, place)
}

async function main(): Promise<void> {
  const load = JSON.parse(process.argv[2] ?? '{}') as Load
  const senders: Sender[] = []
  for (let i = 0; i < load.connections; i++) senders.push(await open(load, i))
  const cpu = process.cpuUsage()
  const began = performance.now()
  await Promise.all(
    senders.map((sender) => (load.qos === 0 ? flood(sender, load, began) : pipelined(sender, load, began))),
  )
  const used = process.cpuUsage(cpu)
  latencies.sort((a, b) => a - b)
  const at = (q: number) => latencies[Math.min(latencies.length - 1, Math.floor(latencies.length * q))] ?? null
  const sent = senders.reduce((sum, sender) => sum + sender.sent, 0)
  process.stdout.write(
    `${JSON.stringify({ sent, seconds: (performance.now() - began) / 1000, cpu: (used.user + used.system) / 1e6, p50: at(0.5), p99: at(0.99) })}\n`,
  )
  process.exit(0)
}

void main()
