/** The `sluice` command: what there is, and what becomes of a failure. */
import { Command } from 'commander'
import type { Actions, CommandContext, LoadedConfig } from './actions.ts'
import { auditCommand } from './audit.ts'
import { checkCommand } from './check.ts'
import { demoCommand } from './demo-command.ts'
import { devicesCommand } from './devices.ts'
import { EXIT, EXIT_CODES_HELP, exitCodeOf, explain } from './exit-codes.ts'
import { healthCommand } from './health.ts'
import { outboxCommand } from './outbox.ts'
import { passwdCommand } from './passwd.ts'
import { runCommand } from './run.ts'
import { sendCommand } from './send.ts'
import { statusCommand } from './status.ts'
import { tailCommand } from './tail.ts'
import type { Terminal } from './terminal.ts'
import { versionCommand } from './version-command.ts'

/** @param args without node and script. Resolves with the exit code; nothing is thrown. */
export async function runProgram<L extends LoadedConfig>(
  args: readonly string[],
  actions: Actions<L>,
  terminal: Terminal,
): Promise<number> {
  let code: number = EXIT.ok
  const context: CommandContext<Actions<L>> = {
    actions,
    terminal,
    setExitCode: (given) => {
      code = given
    },
  }
  try {
    await createProgram(context).parseAsync([...args], { from: 'user' })
    return code
  } catch (error) {
    const text = explain(error, terminal.env.SLUICE_TRACE === '1')
    if (text !== undefined) terminal.complain(text)
    return exitCodeOf(error)
  }
}

/** A defect outside of any command is one line too. */
export function endWithDefects(terminal: Terminal): void {
  process.on('uncaughtException', (error) => {
    terminal.complain(explain(error, terminal.env.SLUICE_TRACE === '1') ?? error.message)
    process.exit(EXIT.failure)
  })
}

/** @param context what the commands use when they run; only their help is made without it */
export function createProgram<L extends LoadedConfig>(context: CommandContext<Actions<L>>): Command {
  const program = new Command('sluice')
    .description('Edge gateway: telemetry in, windowed statistics, store and forward upstream. Loses nothing.')
    .configureHelp({ subcommandTerm: (command) => command.name() })
    .addHelpText('after', `\n${EXAMPLES}\n\n${EXIT_CODES_HELP}`)
    .helpOption('-h, --help', 'show this')
    .version(context.actions.version, '-V, --version', 'show the version')
  const common: CommandContext = context
  const commands = [
    runCommand(context),
    ...[checkCommand, demoCommand, statusCommand, devicesCommand, tailCommand, sendCommand].map((make) => make(common)),
    ...[outboxCommand, auditCommand, passwdCommand, healthCommand, versionCommand].map((make) => make(common)),
  ]
  for (const command of commands) program.addCommand(command)
  for (const command of [program, ...commands.flatMap((one) => [one, ...one.commands])])
    settle(command, context.terminal)
  return program
}

const EXAMPLES = `Example:
  $ sluice demo                       a gateway at work, with a simulated fleet
  $ sluice run --config site.yaml     one of your own
  $ sluice status --help              what a command takes`

/** Nothing but `main.ts` ends the process; a wrong command line is one line and a hint. */
function settle(command: Command, terminal: Terminal): void {
  command.exitOverride()
  command.configureOutput({
    writeOut: (text) => terminal.print(text.trimEnd()),
    writeErr: (text) => terminal.complain(text.trimEnd()),
    outputError: (text, write) => write(`sluice: ${text.replace(/^error: /, '')}`),
    getOutHasColors: () => terminal.colour,
  })
  command.showHelpAfterError(`see ${pathOf(command)} --help`)
}

function pathOf(command: Command): string {
  return command.parent ? `${pathOf(command.parent)} ${command.name()}` : command.name()
}
