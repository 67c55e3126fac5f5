/** A real mosquitto on a free port, started by hand; and its command line clients. */
import { type ChildProcess, execFileSync, spawn } from 'node:child_process'
import { existsSync } from 'node:fs'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { connect, createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { eventually } from '../support/within.ts'
import type { Peer } from './contract.ts'

const PROGRAM = ['/usr/sbin/mosquitto', '/usr/bin/mosquitto', '/usr/local/sbin/mosquitto'].find((path) =>
  existsSync(path),
)

export const NO_MOSQUITTO: string | false =
  PROGRAM === undefined ? 'mosquitto is not installed' : clientsMissing() ? 'mosquitto_pub is not installed' : false

function clientsMissing(): boolean {
  try {
    execFileSync('mosquitto_pub', ['--version'], { stdio: 'ignore' })
    return false
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'ENOENT'
  }
}

export interface Mosquitto extends Peer {
  readonly port: number
  readonly directory: string
  /** Ends it with SIGKILL. */
  kill(): Promise<void>
  dispose(): Promise<void>
}

export async function freePort(): Promise<number> {
  const server = createServer()
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const address = server.address()
  await new Promise((resolve) => server.close(resolve))
  if (address === null || typeof address === 'string') throw new Error('no port')
  return address.port
}

/** @param lines further lines of its configuration; `DIR` stands for its directory */
export async function createMosquitto(lines: readonly string[] = ['allow_anonymous true']): Promise<Mosquitto> {
  const directory = await mkdtemp(join(tmpdir(), 'sluice-mosquitto-'))
  const port = await freePort()
  const file = join(directory, 'mosquitto.conf')
  const own = lines.map((line) => line.replaceAll('DIR', directory))
  // Started by root it would become another user, who may not read or write here.
  if (process.getuid?.() === 0) own.push('user root')
  await writeFile(
    file,
    [`listener ${port} 127.0.0.1`, 'max_queued_messages 0', 'max_inflight_messages 0', ...own, ''].join('\n'),
  )
  let running: ChildProcess | undefined
  const end = async (signal: NodeJS.Signals) => {
    const child = running
    running = undefined
    if (!child || child.exitCode !== null) return
    const ended = new Promise((resolve) => child.once('exit', resolve))
    child.kill(signal)
    await ended
  }
  return {
    port,
    directory,
    async start() {
      const child = spawn(PROGRAM as string, ['-c', file], { stdio: 'ignore' })
      running = child
      await reachable(port, child)
    },
    stop: () => end('SIGTERM'),
    kill: () => end('SIGKILL'),
    async dispose() {
      await end('SIGKILL')
      await rm(directory, { recursive: true, force: true })
    },
  }
}

async function reachable(port: number, child: ChildProcess): Promise<void> {
  await eventually('mosquitto listens', () => {
    if (child.exitCode !== null) throw new Error(`mosquitto ended with ${child.exitCode}`)
    return accepts(port)
  })
}

function accepts(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1')
    socket.once('connect', () => {
      socket.destroy()
      resolve(true)
    })
    socket.once('error', () => resolve(false))
  })
}

export interface Subscriber {
  readonly lines: string[]
  /** Resolves when so many lines have come. */
  count(lines: number): Promise<void>
  end(): Promise<void>
}

/**
 * `mosquitto_sub` writing one message per line; resolves when it is subscribed.
 *
 * @param onLine called for each line
 */
export async function subscribe(
  port: number,
  args: readonly string[],
  onLine?: (line: string) => void,
): Promise<Subscriber> {
  // Its debug output is the only sign that it is subscribed; without stdbuf that comes with the first message.
  const own = ['mosquitto_sub', '-h', '127.0.0.1', '-p', String(port), '-q', '1', '-d', ...args]
  const child = spawn('stdbuf', ['-oL', ...own], { stdio: ['ignore', 'pipe', 'ignore'] })
  const lines: string[] = []
  const waiting: { readonly lines: number; readonly done: () => void }[] = []
  let ready: (() => void) | undefined
  const subscribed = new Promise<void>((resolve) => {
    ready = resolve
  })
  let rest = ''
  let ending = false
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    // It writes debug output from its signal handler, and then may write the line before it a second time.
    if (ending) return
    const pieces = (rest + text).split('\n')
    rest = pieces.pop() ?? ''
    for (const piece of pieces) {
      if (piece.startsWith('Subscribed ')) ready?.()
      else if (!/^(Client |Subscribed)/.test(piece)) {
        lines.push(piece)
        onLine?.(piece)
      }
    }
    for (const one of waiting) if (lines.length >= one.lines) one.done()
  })
  await subscribed
  return {
    lines,
    count: (wanted) =>
      new Promise((resolve) => {
        if (lines.length >= wanted) resolve()
        else waiting.push({ lines: wanted, done: resolve })
      }),
    async end() {
      const ended = new Promise((resolve) => child.once('exit', resolve))
      if (child.exitCode !== null) return
      ending = true
      child.kill()
      await ended
    },
  }
}

export function publish(port: number, args: readonly string[], input?: string): Promise<void> {
  return new Promise((resolve, reject) => {
    const child = spawn('mosquitto_pub', ['-h', '127.0.0.1', '-p', String(port), ...args], {
      stdio: [input === undefined ? 'ignore' : 'pipe', 'ignore', 'ignore'],
    })
    child.once('error', reject)
    child.once('exit', (code) => (code === 0 ? resolve() : reject(new Error(`mosquitto_pub ended with ${code}`))))
    child.stdin?.end(input)
  })
}
