/** Programs of others that speak CoAP or DTLS, run for a test and ended after it. */
import { type ChildProcessWithoutNullStreams, spawn, spawnSync } from 'node:child_process'
import { createSocket } from 'node:dgram'
import type { TestContext } from 'node:test'

/** The reason to skip when a program is not installed, else false. */
export function missing(...programs: string[]): string | false {
  const absent = programs.find((program) => spawnSync('which', [program]).status !== 0)
  return absent ? `${absent} is not installed` : false
}

export interface Result {
  readonly out: string
  readonly err: string
}

/** Runs a program to its end, at most 15 seconds. @param input for its standard input, open until it has said `until` */
export function run(
  program: string,
  args: readonly string[],
  input?: { bytes: Buffer; until: RegExp },
): Promise<Result> {
  return new Promise((resolve, reject) => {
    const child = spawn(program, args)
    const chunks: { out: Buffer[]; err: Buffer[] } = { out: [], err: [] }
    const timer = setTimeout(() => child.kill('SIGKILL'), 15_000)
    child.stdout.on('data', (chunk: Buffer) => chunks.out.push(chunk))
    child.stderr.on('data', (chunk: Buffer) => chunks.err.push(chunk))
    child.stdin.on('error', () => {})
    child.on('error', reject)
    child.on('close', () => {
      clearTimeout(timer)
      resolve({ out: Buffer.concat(chunks.out).toString(), err: Buffer.concat(chunks.err).toString() })
    })
    if (!input) {
      child.stdin.end()
      return
    }
    child.stdin.write(input.bytes)
    const look = () => {
      if (input.until.test(Buffer.concat([...chunks.out, ...chunks.err]).toString())) child.stdin.end()
    }
    child.stdout.on('data', look)
    child.stderr.on('data', look)
  })
}

/** Starts a program and ends it with the test. */
export function serve(t: TestContext, program: string, args: readonly string[]): ChildProcessWithoutNullStreams {
  const child = spawn(program, args)
  child.stdout.resume()
  child.stderr.resume()
  t.after(() => {
    child.kill('SIGKILL')
  })
  return child
}

/** A UDP port nobody has, on which the next one is free too. */
export async function freePort(): Promise<number> {
  for (;;) {
    const port = await tryPort(0)
    if (port !== undefined && (await tryPort(port + 1)) !== undefined) return port
  }
}

function tryPort(port: number): Promise<number | undefined> {
  return new Promise((resolve) => {
    const socket = createSocket('udp4')
    socket.once('error', () => resolve(undefined))
    socket.bind(port, '127.0.0.1', () => {
      const bound = socket.address().port
      socket.close(() => resolve(bound))
    })
  })
}
