import { execFile, execFileSync } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { TestContext } from 'node:test'
import type { Broker, BrokerPorts } from '../../gateway/broker/broker.ts'
import { createBroker } from '../../gateway/broker/embedded.ts'
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

/** A directory that goes at the end: until then a broker that stops may still write to it. */
export function temporaryDirectory(): string {
  const directory = mkdtempSync(join(tmpdir(), 'sluice-broker-'))
  temporary.push(directory)
  return directory
}

const temporary: string[] = []
process.on('exit', () => {
  for (const directory of temporary) rmSync(directory, { recursive: true, force: true })
})

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
