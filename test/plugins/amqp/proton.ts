/** Devices on python3-qpid-proton; see device.py. */
import { type ChildProcess, execFileSync, spawn } from 'node:child_process'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

const SCRIPT = join(dirname(fileURLToPath(import.meta.url)), 'device.py')
/** Debian's own: another Python does not see Debian's packages. */
const PYTHON = '/usr/bin/python3'

export const NO_PROTON: string | false = missing() ? 'python3-qpid-proton is not installed' : false

function missing(): boolean {
  try {
    execFileSync(PYTHON, ['-c', 'import proton'], { stdio: 'ignore' })
    return false
  } catch {
    return true
  }
}

export interface Outgoing {
  readonly to?: string
  readonly body: unknown
  readonly kind?: 'data' | 'text' | 'binary' | 'map' | 'list'
  readonly settled?: boolean
  readonly type?: string
  readonly correlation?: string
}

export interface Event {
  readonly event: string
  readonly [field: string]: unknown
}

/** Sends all, waits for every outcome, and ends. */
export async function send(url: string, target: string, messages: readonly Outgoing[]): Promise<Event[]> {
  const child = start(['send', url, target])
  child.process.stdin?.end(JSON.stringify(messages))
  await child.ended
  return child.events
}

export interface Device {
  readonly events: Event[]
  /** Resolves with the next event that was not yet asked for. */
  next(): Promise<Event>
  readonly ended: Promise<void>
  end(): Promise<void>
}

export function receive(url: string, source: string, how: 'accept' | 'reject' | 'release' | 'reply'): Device {
  return start(['receive', url, source, how])
}

export function listen(port: number, how: 'accept' | 'reject' | 'release'): Device {
  return start(['listen', String(port), how])
}

function start(args: readonly string[]): Device & { readonly process: ChildProcess } {
  const child = spawn(PYTHON, [SCRIPT, ...args], { stdio: ['pipe', 'pipe', 'inherit'] })
  const events: Event[] = []
  const waiting: ((event: Event) => void)[] = []
  let asked = 0
  let rest = ''
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    const lines = (rest + text).split('\n')
    rest = lines.pop() ?? ''
    for (const line of lines) {
      const event = JSON.parse(line) as Event
      events.push(event)
      waiting.shift()?.(event)
    }
  })
  const ended = new Promise<void>((resolve) => child.once('close', () => resolve()))
  return {
    process: child,
    events,
    ended,
    next() {
      const event = events[asked++]
      return event ? Promise.resolve(event) : new Promise((resolve) => waiting.push(resolve))
    },
    async end() {
      child.kill()
      await ended
    },
  }
}
