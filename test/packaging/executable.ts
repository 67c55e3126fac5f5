/** The built executables as processes, under an emulator where they are of another architecture. */
import { type ChildProcess, spawn } from 'node:child_process'
import { existsSync, readFileSync } from 'node:fs'
import { launcher, missingEmulation } from '../../packaging/emulation.mjs'
import { executablePath, TARGETS } from '../../packaging/targets.mjs'

export interface Executable {
  readonly arch: string
  readonly file: string
  /** Started as `command[0] command[1..] arguments`. */
  readonly command: readonly string[]
  readonly env: NodeJS.ProcessEnv
}

export interface Ended {
  /** Exit code, or the signal's name. */
  readonly code: number | string
  readonly out: string
  readonly err: string
}

export interface Running {
  readonly child: ChildProcess
  readonly ports: Readonly<Record<string, number>>
  readonly exited: Promise<Ended>
  kill(signal: NodeJS.Signals): Promise<Ended>
}

type Arch = keyof typeof TARGETS

export function executableFor(arch: Arch): Executable {
  const { version } = JSON.parse(readFileSync('package.json', 'utf8')) as { version: string }
  const file = executablePath(version, arch)
  const { command, env } = launcher(TARGETS[arch])
  return { arch, file, command: [...command, file], env: { ...process.env, ...env } }
}

/** Why the executable cannot be tried here, or false. */
export function unavailable(arch: Arch): string | false {
  const missing = missingEmulation(TARGETS[arch])
  if (missing !== undefined) return `programs for ${arch} do not run here: ${missing}`
  const { file } = executableFor(arch)
  return existsSync(file) ? false : `${file} is not built: npm run build:bin -- --arch ${arch}`
}

/** Runs a command of the executable to its end. */
export function runExecutable(executable: Executable, args: readonly string[]): Promise<Ended> {
  return startProcess(executable, args).exited
}

/** Resolves when the gateway is ready. @throws Error when it ends before, or is not ready within `timeout` ms */
export async function startGateway(executable: Executable, args: readonly string[], timeout: number): Promise<Running> {
  const { child, exited, onLine } = startProcess(executable, ['run', ...args])
  const ready = new Promise<Record<string, number>>((resolve) => {
    onLine((line) => {
      if (line.includes('"ready"')) resolve((JSON.parse(line) as { ports: Record<string, number> }).ports)
    })
  })
  const failed = exited.then(({ code, err }) => {
    throw new Error(`ended with ${code} before it was ready: ${err}`)
  })
  const timer = setTimeout(() => child.kill('SIGKILL'), timeout)
  try {
    const ports = await Promise.race([ready, failed])
    const kill = (signal: NodeJS.Signals) => {
      child.kill(signal)
      return exited
    }
    return { child, ports, exited, kill }
  } finally {
    clearTimeout(timer)
  }
}

function startProcess({ command, env }: Executable, args: readonly string[]) {
  const [program = '', ...first] = command
  const child = spawn(program, [...first, ...args], { env, stdio: ['ignore', 'pipe', 'pipe'] })
  const listeners: ((line: string) => void)[] = []
  let out = ''
  let err = ''
  child.stdout.on('data', (chunk) => {
    const from = out.lastIndexOf('\n') + 1
    out += chunk
    for (const line of out.slice(from).split('\n').slice(0, -1)) for (const listener of listeners) listener(line)
  })
  child.stderr.on('data', (chunk) => {
    err += chunk
  })
  const exited = new Promise<Ended>((resolve) => {
    child.once('close', (code, signal) => resolve({ code: code ?? signal ?? 'unknown', out, err }))
  })
  return { child, exited, onLine: (listener: (line: string) => void) => void listeners.push(listener) }
}
