/** Runs the command line inside the test's process and keeps what it prints. */
import { PassThrough } from 'node:stream'
import { runProgram } from '../../gateway/cli/program.ts'
import type { Terminal } from '../../gateway/cli/terminal.ts'
import type { Log } from '../../gateway/logging.ts'
import { fakeActions } from './fake-actions.ts'

export interface Ran {
  readonly code: number
  readonly out: string
  readonly err: string
}

export interface Surroundings {
  readonly input?: string
  readonly env?: NodeJS.ProcessEnv
  /** Called with each line as it is printed. */
  readonly onLine?: (line: string) => void
}

export async function sluice(
  args: readonly string[],
  { input = '', env = {}, onLine }: Surroundings = {},
): Promise<Ran> {
  const out: string[] = []
  const err: string[] = []
  const terminal: Terminal = {
    print(line) {
      out.push(line)
      onLine?.(line)
    },
    complain: (line) => void err.push(line),
    colour: false,
    env,
    input: Object.assign(new PassThrough().end(input), {
      fd: 0,
      isRaw: false,
      setRawMode: () => process.stdin,
    }) as never,
  }
  const code = await runProgram(args, fakeActions, terminal)
  return { code, out: out.join('\n'), err: err.join('\n') }
}

const quiet = () => undefined
export const silentLog: Log = {
  debug: quiet,
  info: quiet,
  warn: quiet,
  error: quiet,
  child: () => silentLog,
  setLevel: quiet,
  last: quiet,
  flush: quiet,
}
