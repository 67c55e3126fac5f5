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

interface Examined {
  readonly mistakes: readonly Mistake[]
  readonly file?: string | undefined
  /** Tests of rules that failed. */
  readonly failures?: readonly string[] | undefined
}

async function check({ actions, terminal, setExitCode }: CommandContext, options: CommonOptions): Promise<void> {
  const { mistakes, file, failures = [] } = await examine()
  const valid = mistakes.length === 0 && failures.length === 0
  setExitCode(valid ? EXIT.ok : EXIT.config)
  if (options.json) {
    terminal.print(JSON.stringify({ valid, mistakes, failures }))
    return
  }
  for (const { file, line, column, message } of mistakes) terminal.print(`${file}:${line}:${column}: ${message}`)
  for (const failure of failures) terminal.print(`${file ?? ''}: ${failure}`)
  if (valid) terminal.print(`${file ?? 'built-in defaults'}: no mistakes`)

  async function examine(): Promise<Examined> {
    try {
      const loaded = await actions.load(options, terminal.env)
      return { mistakes: [], file: loaded.file, failures: loaded.testRules?.() }
    } catch (error) {
      if (error instanceof ConfigError) return { mistakes: error.mistakes }
      throw error
    }
  }
}
