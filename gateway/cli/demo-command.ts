import type { Command } from 'commander'
import { reasonOf } from '../errors.ts'
import type { CommandContext } from './actions.ts'
import { type CommonOptions, defineCommand, usageError } from './options.ts'

interface Options extends CommonOptions {
  readonly for?: string
}

export function demoCommand({ actions, terminal, setExitCode }: CommandContext): Command {
  const duration = (text: string): number => {
    try {
      return actions.parseDuration(text)
    } catch (error) {
      throw usageError(`--for: ${reasonOf(error)}`)
    }
  }
  return defineCommand('demo', {
    summary: 'show a gateway at work: a simulated fleet, windows and an upstream, all in this process',
    examples: ['sluice demo', 'sluice demo --for 30s'],
  })
    .option('--for <duration>', 'stop by itself after this long, e.g. 30s; default until Ctrl-C')
    .option('--json', 'print JSON lines')
    .action(async (options: Options) => {
      const forMs = options.for === undefined ? undefined : duration(options.for)
      setExitCode(await actions.runDemo({ forMs, data: options.data, json: options.json === true }, terminal))
    })
}
