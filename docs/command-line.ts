// The command line as its own help tells it: a page, and a manual for `man`.
import type { Command, Option } from 'commander'
import type { Actions, LoadedConfig } from '../gateway/cli/actions.ts'
import { EXIT_CODES_HELP } from '../gateway/cli/exit-codes.ts'
import { createProgram } from '../gateway/cli/program.ts'
import type { Terminal } from '../gateway/cli/terminal.ts'

/** The program, of which only the help is asked: what its commands would do is not there. */
export function described(print: (line: string) => void = () => undefined): Command {
  const terminal: Terminal = { print, complain: print, colour: false, env: {}, input: process.stdin }
  const actions = { version: '' } as Actions<LoadedConfig>
  return createProgram({ actions, terminal, setExitCode: () => undefined })
}

/** All commands, subcommands after the one they belong to. */
export function commandsOf(program: Command): Command[] {
  return program.commands.flatMap((command) => [command, ...command.commands])
}

export function pathOf(command: Command): string {
  return command.parent?.parent ? `${pathOf(command.parent)} ${command.name()}` : command.name()
}

/** Of all its options, `--help` too. */
export function optionsOf(command: Command): readonly Option[] {
  return command.createHelp().visibleOptions(command)
}

/** docs/reference/command-line.md */
export function commandLinePage(): string {
  const pages = commandsOf(described()).map((command) => {
    const path = pathOf(command)
    return `## sluice ${path}\n\n\`\`\`\n${helpOf(path)}\n\`\`\`\n`
  })
  return `# The command line

Made by \`npm run docs\` from the program's own help; do not edit.

${EXIT_CODES_HELP.replace(/^ +(\d+) +(.*)$/gm, '- `$1` $2').replace(':\n', ':\n\n')}

\`sluice health\` answers 1 also when no gateway runs. \`sluice send\` answers 0 only when the device acknowledged, \`sluice audit\`
only when every ledger balances and every file is intact. A second Ctrl-C ends \`sluice run\` at once, with 130.

${pages.join('\n')}`
}

function helpOf(path: string): string {
  const lines: string[] = []
  let command = described((line) => lines.push(line))
  for (const name of path.split(' ')) command = command.commands.find((one) => one.name() === name) ?? command
  command.outputHelp()
  return lines.join('\n').trim()
}

/** packaging/deb/sluice.1 */
export function manual(): string {
  return `.\\" made by npm run docs from the program's own help
.TH SLUICE 1 "" "Sluice" "User Commands"
.SH NAME
sluice \\- edge gateway: telemetry in, windowed statistics, store and forward upstream
.SH SYNOPSIS
.B sluice
.I COMMAND
.RB [ \\-\\-config
.IR FILE ]
.RB [ \\-\\-data
.IR DIR ]
.RI [ OPTION ...]
.SH DESCRIPTION
Sensors publish to the gateway; it acknowledges what is on its disk, computes statistics over windows of time, commands
actuators, and forwards batches upstream. While the uplink is down it keeps them.
.SH COMMANDS
${commandsOf(described()).map(manualSection).join('\n')}
.SH EXIT STATUS
${EXIT_CODES_HELP.split('\n')
  .slice(1)
  .map((line) => line.trim().replace(/^(\d+) +/, '.TP\n.B $1\n'))
  .join('\n')}
.SH FILES
.TP
.I /etc/sluice/sluice.yaml
The configuration.
.TP
.I /var/lib/sluice
The data of the service.
.SH ENVIRONMENT
.TP
.B SLUICE__SECTION__KEY
Overrides a value of the configuration, e.g. SLUICE__MQTT__LISTEN=0.0.0.0:1883.
.TP
.B NO_COLOR
No colour, also on a terminal.
.TP
.B SLUICE_TRACE=1
A defect shows where it happened.
`
}

function manualSection(command: Command): string {
  const path = pathOf(command)
  const operands = command.registeredArguments.map((argument) => {
    const operand = `\\fI${argument.name().toUpperCase()}\\fR`
    return argument.required ? ` ${operand}` : ` [${operand}]`
  })
  const options = optionsOf(command).map(({ flags, description, defaultValue }) => {
    const standing = typeof defaultValue === 'string' ? ` (default ${defaultValue})` : ''
    return `.TP\n.B ${roff(flags)}\n${roff(description + standing)}`
  })
  const examples = /Example:\n([\s\S]*)$/.exec(helpOf(path))?.[1] ?? ''
  return `.SS "sluice ${path}${operands.join('')}"
${roff(sentence(command.description()))}
${options.join('\n')}
.PP
.nf
.RS
${roff(examples.replace(/^ +/gm, ''))}
.RE
.fi`
}

function sentence(text: string): string {
  return `${text.charAt(0).toUpperCase()}${text.slice(1)}.`
}

function roff(text: string): string {
  return text
    .replaceAll('\\', '\\e')
    .replaceAll('-', '\\-')
    .replace(/^([.'])/gm, '\\&$1')
}
