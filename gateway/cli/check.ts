import type { Command } from 'commander'
import { ConfigError, type Mistake } from '../errors.ts'
import type { CommandContext } from './actions.ts'
import { EXIT } from './exit-codes.ts'
import { type CommonOptions, defineCommand } from './options.ts'

export function checkCommand(context: CommandContext): Command {
  return defineCommand('check', {
    summary: 'read the configuration and list every mistake in it',
    examples: ['sluice check --config site.yaml'],
  })
    .option('--json', 'print JSON')
    .action((options: CommonOptions) => check(context, options))
}

async function check({ actions, terminal, setExitCode }: CommandContext, options: CommonOptions): Promise<void> {
  const { mistakes, file } = await examine()
  setExitCode(mistakes.length === 0 ? EXIT.ok : EXIT.config)
  if (options.json) {
    terminal.print(JSON.stringify({ valid: mistakes.length === 0, mistakes }))
    return
  }
  for (const { file, line, column, message } of mistakes) terminal.print(`${file}:${line}:${column}: ${message}`)
  if (mistakes.length === 0) terminal.print(`${file ?? 'built-in defaults'}: no mistakes`)

  async function examine(): Promise<{ mistakes: readonly Mistake[]; file?: string | undefined }> {
    try {
      return { mistakes: [], file: (await actions.load(options, terminal.env)).file }
    } catch (error) {
      if (error instanceof ConfigError) return { mistakes: error.mistakes }
      throw error
    }
  }
}
