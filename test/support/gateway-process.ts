/** The built gateway as a process of its own, as a user runs it. */
import { type ChildProcess, spawn } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

export interface GatewayProcess {
  readonly child: ChildProcess
  readonly ports: Readonly<Record<string, number>>
  /** All that it logged so far. */
  log(): string
  /** Resolves when it has logged so; what stands before `from` does not count. */
  said(pattern: RegExp, from?: number): Promise<void>
  /** Resolves with the exit code, or the signal's name. */
  readonly exited: Promise<number | string>
  kill(signal?: NodeJS.Signals): Promise<number | string>
}

export interface Site {
  readonly folder: string
  readonly data: string
  /** What `run` and other commands need: `--config FILE --data DIRECTORY`. */
  readonly args: readonly string[]
  /** @param env further environment variables */
  start(env?: Readonly<Record<string, string>>): Promise<GatewayProcess>
  configure(config: object): void
  remove(): void
}

const START_TIMEOUT = 30_000

/** A temporary folder with a config and a data directory; `config` is the YAML as an object. */
export function createSite(config: object): Site {
  const folder = mkdtempSync(join(tmpdir(), 'sluice-site-'))
  const data = join(folder, 'data')
  const file = join(folder, 'sluice.yaml')
  const configure = (next: object) => writeFileSync(file, JSON.stringify(next))
  configure(config)
  const args = ['--config', file, '--data', data]
  return {
    folder,
    data,
    args,
    configure,
    start: (env) => startGatewayProcess(['run', ...args], env),
    remove: () => rmSync(folder, { recursive: true, force: true }),
  }
}

/** @param env further environment variables, such as SLUICE__MQTT__LISTEN */
export async function startGatewayProcess(
  args: readonly string[],
  env: Readonly<Record<string, string>> = {},
): Promise<GatewayProcess> {
  const child = spawn(process.execPath, ['dist/sluice.cjs', ...args], {
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { ...process.env, ...env },
  })
  let errors = ''
  let listeners: (() => boolean)[] = []
  child.stderr.on('data', (chunk) => {
    errors += chunk
    listeners = listeners.filter((heard) => !heard())
  })
  const said = (pattern: RegExp, from = 0) =>
    new Promise<void>((resolve) => {
      const heard = () => {
        const found = pattern.test(errors.slice(from))
        if (found) resolve()
        return found
      }
      if (!heard()) listeners.push(heard)
    })
  const exited = new Promise<number | string>((resolve) =>
    child.once('exit', (code, signal) => resolve(code ?? signal ?? 'unknown')),
  )
  const ports = await readyPorts(child, exited, () => errors)
  const kill = (signal: NodeJS.Signals = 'SIGTERM') => {
    child.kill(signal)
    return exited
  }
  return { child, ports, log: () => errors, said, exited, kill }
}

function readyPorts(
  child: ChildProcess,
  exited: Promise<number | string>,
  errors: () => string,
): Promise<Record<string, number>> {
  return new Promise((resolve, reject) => {
    let text = ''
    const timer = setTimeout(() => reject(new Error(`not ready in ${START_TIMEOUT} ms: ${errors()}`)), START_TIMEOUT)
    child.stdout?.on('data', (chunk) => {
      text += chunk
      const line = text.split('\n').find((candidate) => candidate.includes('"ready"') && candidate.endsWith('}'))
      if (line === undefined) return
      clearTimeout(timer)
      resolve((JSON.parse(line) as { ports: Record<string, number> }).ports)
    })
    void exited.then((code) => {
      clearTimeout(timer)
      reject(new Error(`ended with ${code} before it was ready: ${errors()}`))
    })
  })
}

/** Runs a CLI command to its end. */
export function runCommand(args: readonly string[]): Promise<{ code: number | string; out: string; err: string }> {
  const child = spawn(process.execPath, ['dist/sluice.cjs', ...args], { stdio: ['ignore', 'pipe', 'pipe'] })
  let out = ''
  let err = ''
  child.stdout.on('data', (chunk) => {
    out += chunk
  })
  child.stderr.on('data', (chunk) => {
    err += chunk
  })
  return new Promise((resolve) =>
    child.once('close', (code, signal) => resolve({ code: code ?? signal ?? 'unknown', out, err })),
  )
}
