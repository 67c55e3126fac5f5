import { execFile, execFileSync } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { connect as connectSocket, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { TestContext } from 'node:test'
import { type Broker, type BrokerPorts, createBroker } from '../../gateway/broker/broker.ts'
import type { BrokerOptions, Sender, TelemetryIntake } from '../../gateway/broker/options.ts'
import { type Clock, systemClock } from '../../gateway/clock.ts'

export interface Taken {
  readonly topic: string
  readonly payload: string
  readonly qos: number
}

/** An intake that the test controls: entries become durable when it says so. */
export class FakeIntake implements TelemetryIntake<string> {
  readonly taken: Taken[] = []
  /** Content types of what was taken. */
  readonly types: (string | undefined)[] = []
  readonly dropped: string[] = []
  routes: string[] = []
  /** True: everything is durable at once. */
  instant = true
  full = false
  durable = 0
  #entry = 0
  #durable: ((durable: number) => void)[] = []
  #room: (() => void)[] = []
  #waiting: { count: number; resolve: () => void }[] = []

  route(topic: string): string | null {
    this.routes.push(topic)
    return topic.startsWith('telemetry/') ? topic : null
  }

  /** QoS 2 messages that were not released, `client id`; tests may keep it across brokers. */
  receipts = new Set<string>()

  receivedFrom(client: string): number[] {
    return [...this.receipts]
      .map((each) => each.split(' '))
      .flatMap(([name, id]) => (name === client ? Number(id) : []))
  }

  release(client: string, id: number): number {
    if (this.full) return -1
    this.receipts.delete(`${client} ${id}`)
    return this.instant ? 0 : ++this.#entry
  }

  forget(client: string): number {
    for (const id of this.receivedFrom(client)) this.receipts.delete(`${client} ${id}`)
    return 0
  }

  forgetOthers(clients: Iterable<string>): void {
    const kept = new Set(clients)
    for (const each of this.receipts) if (!kept.has(each.split(' ')[0] ?? '')) this.receipts.delete(each)
  }

  take(
    route: string,
    chunk: Buffer,
    start: number,
    end: number,
    qos: number,
    contentType?: string,
    sender?: Sender,
  ): number {
    if (this.full) return -1
    if (sender) this.receipts.add(`${sender.client} ${sender.id}`)
    this.types.push(contentType)
    this.taken.push({ topic: route, payload: chunk.toString('utf8', start, end), qos })
    this.#notify()
    return this.instant ? 0 : ++this.#entry
  }

  drop(route: string): void {
    this.dropped.push(route)
    this.#notify()
  }

  onDurable(listener: (durable: number) => void): void {
    this.#durable.push(listener)
  }

  onRoom(listener: () => void): void {
    this.#room.push(listener)
  }

  /** The journal reaches `entry`, or everything so far. */
  commit(entry = this.#entry): void {
    this.durable = entry
    for (const listener of this.#durable) listener(entry)
  }

  makeRoom(): void {
    this.full = false
    for (const listener of this.#room) listener()
  }

  /** Resolves when this many messages have been taken or dropped. */
  count(count: number): Promise<void> {
    return bounded(
      new Promise<void>((resolve) => {
        this.#waiting.push({ count, resolve })
        this.#notify()
      }),
      () => `${this.taken.length} taken and ${this.dropped.length} dropped of ${count}`,
    )
  }

  #notify(): void {
    const done = this.taken.length + this.dropped.length
    for (const waiting of this.#waiting) if (waiting.count <= done) waiting.resolve()
  }
}

/** What the broker said. */
export class TestLog {
  readonly lines: { level: string; text: string; fields: Record<string, unknown> }[] = []
  readonly debug = this.#at('debug')
  readonly info = this.#at('info')
  readonly warn = this.#at('warn')
  readonly error = this.#at('error')

  #at(level: string) {
    return (fields: object, text: string) => {
      this.lines.push({ level, text, fields: { ...fields } })
    }
  }
}

export interface Started {
  readonly broker: Broker
  readonly intake: FakeIntake
  readonly log: TestLog
  readonly ports: BrokerPorts
  readonly port: number
}

/** A broker on a free port of loopback; closed after the test. */
export async function startBroker(
  t: TestContext,
  options: Partial<BrokerOptions> = {},
  clock: Clock = systemClock,
): Promise<Started> {
  const intake = new FakeIntake()
  const log = new TestLog()
  const broker = createBroker({ listen: ['127.0.0.1:0'], ...options }, intake, { clock, log })
  const ports = await broker.listen()
  t.after(() => broker.close())
  return { broker, intake, log, ports, port: ports.mqtt ?? 0 }
}

/** Rejects after 10 s. */
export function bounded<Value>(promise: Promise<Value>, state: () => string = () => ''): Promise<Value> {
  let timer: NodeJS.Timeout
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`did not happen within 10 s: ${state()}`)), 10_000)
  })
  return Promise.race([promise, late]).finally(() => clearTimeout(timer))
}

/** Resolves once `condition` holds; asked again on every turn of the event loop. */
export function until(condition: () => boolean, what = 'condition'): Promise<void> {
  const asked = async () => {
    while (!condition()) await new Promise((resolve) => setTimeout(resolve, 1))
  }
  return bounded(asked(), () => what)
}

/** A socket that speaks bytes. */
export class RawClient {
  readonly socket: Socket
  /** Resolves when the connection has ended. */
  readonly closed: Promise<void>
  /** Bytes that have come. */
  total = 0
  /** True: they are only counted. */
  discards = false
  #received = Buffer.alloc(0)
  #wake: () => void = () => {}
  #ended = false

  constructor(t: TestContext, port: number) {
    this.socket = connectSocket({ port, host: '127.0.0.1', noDelay: true })
    this.socket.on('error', () => {})
    this.socket.on('data', (chunk) => {
      this.total += chunk.length
      if (!this.discards) this.#received = Buffer.concat([this.#received, chunk])
      this.#wake()
    })
    this.closed = bounded(
      new Promise((resolve) => {
        this.socket.on('close', () => {
          this.#ended = true
          this.#wake()
          resolve()
        })
      }),
      () => 'close',
    )
    this.closed.catch(() => {})
    t.after(() => this.socket.destroy())
  }

  /** Connected and welcomed. */
  static async open(t: TestContext, port: number, options: ConnectOptions = {}): Promise<RawClient> {
    const client = new RawClient(t, port)
    client.send(connectPacket(options))
    const connack = await client.read(4)
    if (connack[0] !== 0x20 || connack[3] !== 0) throw new Error(`refused: ${connack.toString('hex')}`)
    return client
  }

  send(...parts: Uint8Array[]): this {
    this.socket.write(Buffer.concat(parts))
    return this
  }

  /** The next `length` bytes. */
  async read(length: number): Promise<Buffer> {
    const enough = async () => {
      while (this.#received.length < length && !this.#ended)
        await new Promise<void>((resolve) => (this.#wake = resolve))
    }
    await bounded(enough(), () => `${length} bytes, got ${this.#received.toString('hex')}`)
    const bytes = this.#received.subarray(0, length)
    this.#received = this.#received.subarray(length)
    return bytes
  }

  /** Bytes that have come and were not read. */
  get unread(): Buffer {
    return this.#received
  }

  /** Resolves when the broker has answered all that was sent before. */
  async ping(): Promise<void> {
    this.send(PINGREQ)
    const pong = await this.read(2)
    if (pong[0] !== 0xd0) throw new Error(`not a ping response: ${pong.toString('hex')}`)
  }
}

export const PINGREQ = Buffer.from([0xc0, 0])
export const DISCONNECT = Buffer.from([0xe0, 0])

export interface ConnectOptions {
  readonly client?: string
  readonly clean?: boolean
  /** s */
  readonly keepalive?: number
  readonly user?: string
  readonly password?: string
  readonly will?: { readonly topic: string; readonly payload: string; readonly qos?: number; readonly retain?: boolean }
}

let unnamed = 0

export function connectPacket(options: ConnectOptions = {}): Buffer {
  const { clean = true, keepalive = 0, user, password, will } = options
  const client = options.client ?? `raw-${++unnamed}`
  const flags =
    (clean ? 2 : 0) |
    (user === undefined ? 0 : 0x80) |
    (password === undefined ? 0 : 0x40) |
    (will ? 4 | ((will.qos ?? 0) << 3) | (will.retain ? 0x20 : 0) : 0)
  const parts = [text('MQTT'), Buffer.from([4, flags, keepalive >> 8, keepalive & 255]), text(client)]
  if (will) parts.push(text(will.topic), text(will.payload))
  if (user !== undefined) parts.push(text(user))
  if (password !== undefined) parts.push(text(password))
  return packet(0x10, ...parts)
}

export interface PublishOptions {
  readonly qos?: number
  readonly id?: number
  readonly retain?: boolean
  readonly dup?: boolean
}

export function publishPacket(topic: string | Uint8Array, payload: string | Uint8Array, options: PublishOptions = {}) {
  const { qos = 0, id = 1, retain = false, dup = false } = options
  const first = 0x30 | (qos << 1) | (retain ? 1 : 0) | (dup ? 8 : 0)
  const name = typeof topic === 'string' ? Buffer.from(topic) : topic
  return packet(first, text(name), qos > 0 ? two(id) : Buffer.alloc(0), Buffer.from(payload))
}

export function subscribePacket(id: number, ...filters: (readonly [string, number])[]): Buffer {
  return packet(0x82, two(id), ...filters.flatMap(([filter, qos]) => [text(filter), Buffer.from([qos])]))
}

/** Any packet with this first byte. */
export function packet(first: number, ...parts: Uint8Array[]): Buffer {
  const body = Buffer.concat(parts)
  const length: number[] = []
  let rest = body.length
  do {
    length.push((rest & 127) | (rest > 127 ? 128 : 0))
    rest >>= 7
  } while (rest > 0)
  return Buffer.concat([Buffer.from([first, ...length]), body])
}

export function text(value: string | Uint8Array): Buffer {
  const bytes = Buffer.from(value)
  return Buffer.concat([two(bytes.length), bytes])
}

export function two(value: number): Buffer {
  return Buffer.from([value >> 8, value & 255])
}

export function ack(kind: number, id: number): Buffer {
  return Buffer.from([kind, 2, id >> 8, id & 255])
}

/** A directory that goes after the test. */
export function temporaryDirectory(t: TestContext): string {
  const directory = mkdtempSync(join(tmpdir(), 'sluice-broker-'))
  t.after(() => rmSync(directory, { recursive: true, force: true }))
  return directory
}

/** Why a test that needs this program is skipped; false when it is there. */
export function missing(program: string): string | false {
  try {
    execFileSync('which', [program], { stdio: 'ignore' })
    return false
  } catch {
    return `${program} is not installed`
  }
}

/** Runs a program to its end; at most 15 s. */
export function run(program: string, ...args: string[]): Promise<{ code: number; stdout: string; stderr: string }> {
  return new Promise((resolve) => {
    execFile(program, args, { timeout: 15_000 }, (error, stdout, stderr) => {
      resolve({ code: error ? Number(error.code ?? -1) : 0, stdout, stderr })
    })
  })
}
