/** What the commands have in common: `--config`, `--data`, `--json`, an example, and the way to the running gateway. */
import { resolve } from 'node:path'
import { Command } from 'commander'
import { SluiceError } from '../errors.ts'
import type { CommandContext, ConfigChoice } from './actions.ts'
import { type Client, connectClient } from './client.ts'
import { USAGE } from './exit-codes.ts'

export interface CommonOptions extends ConfigChoice {
  readonly json?: boolean
}

export interface CommandText {
  readonly summary: string
  /** A command line a person can copy. */
  readonly examples: readonly string[]
}

/** A command with what all have; `usage` is commander's, e.g. `tail [pattern]`. */
export function defineCommand(usage: string, { summary, examples }: CommandText): Command {
  return (
    new Command(usage.split(' ', 1)[0])
      .description(summary)
      // In the list of commands the first part has to do: one line each.
      .summary(summary.split(/[;:] /)[0] ?? summary)
      .option('-c, --config <file>', 'configuration file; default /etc/sluice/sluice.yaml, else built-in defaults')
      .option('-d, --data <dir>', 'data directory; default as configured')
      .addHelpText('after', `\nExample:\n${examples.map((line) => `  $ ${line}`).join('\n')}`)
      .helpOption('-h, --help', 'show this')
  )
}

/** @throws ConfigError; a data directory that is given makes the configuration unnecessary */
export async function dataDirectory(context: CommandContext, options: ConfigChoice): Promise<string> {
  if (options.data !== undefined) return resolve(options.data)
  return (await context.actions.load(options, context.terminal.env)).data
}

export async function runningGateway(context: CommandContext, options: ConfigChoice): Promise<Client> {
  return connectClient(await dataDirectory(context, options))
}

/** A whole number from 1 on. @throws SluiceError SLUICE_USAGE */
export function positive(option: string, text: string): number {
  if (!/^[1-9]\d{0,14}$/.test(text)) throw usageError(`${option}: ${text} is no whole number from 1 on`)
  return Number(text)
}

export function usageError(message: string): SluiceError {
  return new SluiceError(USAGE, message)
}
