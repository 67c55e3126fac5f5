/** A real libzmq in a Python process, and a source or sink of ours beside it. */
import assert from 'node:assert/strict'
import { execFileSync, spawn } from 'node:child_process'
import { createInterface } from 'node:readline'
import type { TestContext } from 'node:test'
import { fileURLToPath } from 'node:url'
import type { Emit, Message, PluginContext, Roles, Settled } from '../../../gateway/plugin.ts'
import { zeromq } from '../../../plugins/zeromq/index.ts'
import { FakeClock } from '../../support/clock.ts'
import { collectingEmit, create, pluginContext, within } from '../contract.ts'

const PYTHON = '/usr/bin/python3'

export const NO_ZMQ: string | false = missing() ? 'python3-zmq is not installed' : false

function missing(): boolean {
  try {
    execFileSync(PYTHON, ['-c', 'import zmq; assert zmq.has("curve")'], { stdio: 'ignore' })
    return false
  } catch {
    return true
  }
}

export interface SocketSpec {
  readonly bind?: string
  readonly connect?: readonly string[]
  readonly options?: Readonly<Record<string, string | number | boolean>>
  readonly subscribe?: readonly string[]
}

export interface Oracle {
  /** Returns the port when it was bound to port 0. */
  socket(name: string, type: string, spec: SocketSpec): Promise<number>
  send(name: string, frames: readonly string[], times?: number): Promise<void>
  /** Fewer messages when they do not come in time. */
  receive(name: string, times?: number, timeout?: number): Promise<string[][]>
  authenticate(who: {
    readonly plain?: Readonly<Record<string, string>>
    readonly curve?: readonly string[]
  }): Promise<void>
  /** A key pair, public and secret, Z85. */
  keys(): Promise<readonly [string, string]>
  close(name: string): Promise<void>
  /** Does nothing for so many ms. */
  pause(ms: number): Promise<void>
  /** Ends it with SIGKILL. */
  kill(): Promise<void>
}

export function startOracle(t: TestContext): Oracle {
  const child = spawn(PYTHON, [fileURLToPath(new URL('./oracle.py', import.meta.url))], {
    stdio: ['pipe', 'pipe', 'inherit'],
  })
  const answers: ((line: string) => void)[] = []
  createInterface({ input: child.stdout }).on('line', (line) => answers.shift()?.(line))
  const kill = async () => {
    if (child.exitCode !== null || child.signalCode !== null) return
    const ended = new Promise((resolve) => child.once('exit', resolve))
    child.kill('SIGKILL')
    await ended
  }
  t.after(kill)

  async function ask(op: object): Promise<unknown> {
    const answer = new Promise<string>((resolve) => answers.push(resolve))
    child.stdin.write(`${JSON.stringify(op)}\n`)
    const { result, error } = JSON.parse(await within(20_000, JSON.stringify(op), answer)) as Record<string, unknown>
    if (error !== undefined) throw new Error(String(error))
    return result
  }

  return {
    socket: async (name, type, spec) => (await ask({ op: 'socket', name, type, ...spec })) as number,
    send: async (name, frames, times = 1) => void (await ask({ op: 'send', name, frames, times })),
    receive: async (name, times = 1, timeout = 5000) =>
      (await ask({ op: 'receive', name, times, timeout })) as string[][],
    authenticate: async (who) => void (await ask({ op: 'authenticate', ...who })),
    keys: async () => (await ask({ op: 'keys' })) as [string, string],
    close: async (name) => void (await ask({ op: 'close', name })),
    pause: async (ms) => void (await ask({ op: 'pause', ms })),
    kill,
  }
}

export interface Running {
  readonly messages: Message[]
  readonly roles: Roles
  readonly counts: Map<string, number>
  readonly ended: Promise<void>
  /** `tcp://127.0.0.1:port` of one of its sockets. */
  endpoint(socket: string): string
  port(socket: string): number
  /** Resolves when so many messages have come. */
  count(messages: number): Promise<void>
  /** Resolves when `check` holds; looked at whenever something happens. */
  until(what: string, check: () => boolean): Promise<void>
  stop(): Promise<void>
}

export interface RunOptions {
  /** Decides when a message is durable. */
  readonly settle?: (settled: Settled, message: Message) => void
  readonly emit?: (emit: Emit) => Emit
  readonly context?: Partial<PluginContext>
}

/** Runs a source of ours until the test ends. */
export async function run(t: TestContext, options: object, more: RunOptions = {}): Promise<Running> {
  const { settle = (settled: Settled) => settled(null) } = more
  const counts = new Map<string, number>()
  const checks = new Set<() => void>()
  const look = () => {
    for (const check of [...checks]) check()
  }
  const metrics = {
    count(name: string, by = 1) {
      counts.set(name, (counts.get(name) ?? 0) + by)
      queueMicrotask(look)
    },
    gauge() {},
  }
  const roles = create(zeromq, options, pluginContext({ name: 'zmq', metrics, ...more.context }))
  const { source } = roles
  assert.ok(source)
  const messages: Message[] = []
  const collecting = collectingEmit((message, settled) => {
    messages.push(message)
    settle(settled, message)
    look()
  })
  const stopping = new AbortController()
  const ended = source.run(more.emit ? more.emit(collecting) : collecting, stopping.signal)
  ended.catch(() => {})
  const stop = async () => {
    stopping.abort(new Error('stopping'))
    let stopped = false
    const over = within(2000, 'stopping', ended).then(
      () => {
        stopped = true
      },
      () => {
        stopped = true
      },
    )
    const clock = more.context?.clock
    while (clock instanceof FakeClock && !stopped) await clock.advance(50)
    await over
  }
  t.after(stop)
  const until = (what: string, check: () => boolean) =>
    within(
      8000,
      what,
      new Promise<void>((resolve) => {
        const own = () => {
          if (!check()) return
          checks.delete(own)
          clearInterval(timer)
          resolve()
        }
        const timer = setInterval(own, 20)
        checks.add(own)
        own()
      }),
    )
  const port = (socket: string) => source.ports?.()[socket] ?? 0
  // The ports stand once it listens; a source that only connects has none.
  const listens = JSON.stringify(options).includes('127.0.0.1:0')
  if (listens) await until('listening', () => Object.keys(source.ports?.() ?? {}).length > 0)
  return {
    messages,
    roles,
    counts,
    ended,
    port,
    endpoint: (socket) => `tcp://127.0.0.1:${port(socket)}`,
    count: (wanted) => until(`receiving ${wanted}`, () => messages.length >= wanted),
    until,
    stop,
  }
}

export const LOOPBACK = 'tcp://127.0.0.1:0'

export function texts(messages: readonly Message[]): [string, string][] {
  return messages.map(({ topic, payload }) => [topic, Buffer.from(payload).toString()])
}
