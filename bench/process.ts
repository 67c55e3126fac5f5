/** Processes under measurement: started by hand, watched through /proc, ended by their id. */
import { type ChildProcess, spawn } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { buildSync } from 'esbuild'

const TICKS_PER_SECOND = 100

export interface Running {
  readonly process: ChildProcess
  readonly ports: Readonly<Record<string, number>>
  stop(): Promise<void>
}

/** CPU seconds of a process and its threads so far. */
export function cpuSeconds(pid: number): number {
  const stat = readFileSync(`/proc/${pid}/stat`, 'latin1')
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
  return (Number(fields[11]) + Number(fields[12])) / TICKS_PER_SECOND
}

/** Resident and peak resident memory in MB. */
export function memory(pid: number): { now: number; peak: number } {
  const status = readFileSync(`/proc/${pid}/status`, 'latin1')
  const read = (name: string) => Number(new RegExp(`${name}:\\s+(\\d+)`).exec(status)?.[1] ?? 0) / 1024
  return { now: read('VmRSS'), peak: read('VmHWM') }
}

/** Bytes that a process caused to be written to storage. */
export function writtenBytes(pid: number): number {
  return Number(/write_bytes: (\d+)/.exec(readFileSync(`/proc/${pid}/io`, 'latin1'))?.[1] ?? 0)
}

export async function freePort(): Promise<number> {
  const server = createServer()
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const address = server.address()
  await new Promise((resolve) => server.close(resolve))
  if (address === null || typeof address === 'string') throw new Error('no port')
  return address.port
}

export function temporaryFolder(): { path: string; remove(): void } {
  const path = mkdtempSync(join(tmpdir(), 'sluice-bench-'))
  return { path, remove: () => rmSync(path, { recursive: true, force: true }) }
}

function ended(child: ChildProcess): Promise<void> {
  return new Promise((resolve) => {
    if (child.exitCode !== null || child.signalCode !== null) resolve()
    else child.once('exit', () => resolve())
  })
}

export function stopper(child: ChildProcess, folder: { remove(): void }): () => Promise<void> {
  return async () => {
    child.kill('SIGTERM')
    await ended(child)
    folder.remove()
  }
}

/** The first line on standard output that `accept` takes. */
export function lineOf(child: ChildProcess, accept: (line: string) => boolean): Promise<string> {
  return new Promise((resolve, reject) => {
    let text = ''
    child.stdout?.on('data', (chunk) => {
      text += chunk
      const line = text.split('\n').find(accept)
      if (line !== undefined) resolve(line)
    })
    child.once('exit', (code) => reject(new Error(`ended with ${code} before it was ready`)))
  })
}

export async function startMosquitto(): Promise<Running> {
  const folder = temporaryFolder()
  const mqtt = await freePort()
  const config = join(folder.path, 'mosquitto.conf')
  writeFileSync(
    config,
    `listener ${mqtt} 127.0.0.1\nallow_anonymous true\npersistence false\nmax_queued_messages 0\nuser root\n`,
  )
  const child = spawn('/usr/sbin/mosquitto', ['-c', config], { stdio: 'ignore' })
  await listening(mqtt)
  return { process: child, ports: { mqtt }, stop: stopper(child, folder) }
}

async function listening(port: number): Promise<void> {
  const { connect } = await import('node:net')
  for (let i = 0; i < 200; i++) {
    const up = await new Promise<boolean>((resolve) => {
      const socket = connect(port, '127.0.0.1')
      socket.once('connect', () => {
        socket.destroy()
        resolve(true)
      })
      socket.once('error', () => resolve(false))
    })
    if (up) return
    await new Promise((resolve) => setTimeout(resolve, 20))
  }
  throw new Error(`nothing listens on ${port}`)
}

/** Starts the built gateway on free ports; `config` is YAML without `mqtt.listen`, `http.listen` and `data`. */
export async function startSluice(config: object, data?: string): Promise<Running & { data: string }> {
  const folder = temporaryFolder()
  const path = data ?? join(folder.path, 'data')
  const file = join(folder.path, 'sluice.yaml')
  writeFileSync(file, JSON.stringify(config))
  const child = spawn(process.execPath, ['dist/sluice.cjs', 'run', '--config', file, '--data', path], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  const ready = await lineOf(child, (line) => line.includes('"ready"'))
  return { process: child, ports: JSON.parse(ready).ports, stop: stopper(child, folder), data: path }
}

/** Bundles a script of this folder, so that a measured child starts without a compiler in it. */
export function bundle(entry: string, folder: string): string {
  const outfile = join(folder, `${entry.replace(/\W/g, '-')}.cjs`)
  buildSync({ entryPoints: [join('bench', entry)], outfile, bundle: true, platform: 'node', format: 'cjs' })
  return outfile
}

/** Runs a script to its end and parses the last line it prints. */
export async function runJson<T>(script: string, argument: object): Promise<T> {
  const child = spawn(process.execPath, [script, JSON.stringify(argument)], { stdio: ['ignore', 'pipe', 'inherit'] })
  let text = ''
  child.stdout.on('data', (chunk) => {
    text += chunk
  })
  await ended(child)
  const last = text.trim().split('\n').at(-1)
  if (!last) throw new Error(`${script} printed nothing`)
  return JSON.parse(last) as T
}
