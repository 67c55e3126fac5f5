/** Clients of others, built from the source folder that an environment variable names. */
import { type ChildProcessWithoutNullStreams, execFileSync, spawn } from 'node:child_process'
import { createHash } from 'node:crypto'
import { existsSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import type { TestContext } from 'node:test'
import { fileURLToPath } from 'node:url'

/** The reason to skip, else false. */
export function absent(variable: string): string | false {
  const folder = process.env[variable]
  if (folder === undefined) return `${variable} does not name a folder with the client's sources`
  return existsSync(folder) ? false : `${variable}: there is no folder ${folder}`
}

/** Builds it, unless that was done before. @returns the program's path */
export function built(name: string, variable: string): string {
  const script = fileURLToPath(new URL(`../../peers/${name}.sh`, import.meta.url))
  const source = resolve(process.env[variable] as string)
  const build = join(tmpdir(), `sluice-peer-${name}-${createHash('sha256').update(source).digest('hex').slice(0, 8)}`)
  const stdio = ['ignore', 'pipe', 'ignore'] as const
  return execFileSync(script, [source, build], { stdio: [...stdio], encoding: 'utf8' }).trim()
}

export interface Running {
  readonly child: ChildProcessWithoutNullStreams
  /** What it has printed. */
  readonly out: () => string
  type(line: string): void
}

export function run(t: TestContext, program: string, args: readonly string[]): Running {
  const child = spawn(program, args)
  let out = ''
  for (const stream of [child.stdout, child.stderr])
    stream.on('data', (chunk: Buffer) => {
      out = (out + chunk.toString()).slice(-65_536)
    })
  t.after(() => {
    child.kill('SIGKILL')
  })
  return { child, out: () => out, type: (line) => void child.stdin.write(`${line}\n`) }
}
