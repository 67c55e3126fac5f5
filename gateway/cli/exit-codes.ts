/** Exit codes of the `sluice` command, after sysexits.h where it has one. */
import { CommanderError } from 'commander'
import { ConfigError, SluiceError } from '../errors.ts'

export const EXIT = {
  /** Done; for `health`: healthy, for `audit`: all balances, for `send`: acknowledged. */
  ok: 0,
  /** It did not work out; one line on standard error says why. */
  failure: 1,
  /** The command line makes no sense. */
  usage: 2,
  /** The gateway does not run (EX_UNAVAILABLE). */
  notRunning: 69,
  /** The configuration is wrong (EX_CONFIG). */
  config: 78,
} as const

export const EXIT_CODES_HELP = `Exit codes:
  0   done
  1   it did not work out; standard error says why
  2   the command line makes no sense
  69  the gateway does not run
  78  the configuration is wrong`

export const NOT_RUNNING = 'SLUICE_NOT_RUNNING'
export const USAGE = 'SLUICE_USAGE'

export function exitCodeOf(error: unknown): number {
  if (error instanceof ConfigError) return EXIT.config
  if (error instanceof CommanderError) return error.exitCode === 0 ? EXIT.ok : EXIT.usage
  if (error instanceof SluiceError && error.code === NOT_RUNNING) return EXIT.notRunning
  if (error instanceof SluiceError && error.code === USAGE) return EXIT.usage
  return EXIT.failure
}

/** What a person is told, or undefined when it was told already. */
export function explain(error: unknown, trace: boolean): string | undefined {
  if (error instanceof CommanderError) return undefined
  if (trace && error instanceof Error) return error.stack ?? error.message
  if (error instanceof ConfigError) return error.message
  if (error instanceof SluiceError) return `sluice: ${error.message} (${error.code})`
  const text = error instanceof Error ? error.message : String(error)
  return `sluice: unexpected: ${text} (SLUICE_DEFECT); SLUICE_TRACE=1 shows where`
}
