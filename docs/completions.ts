// What shells complete, from the program's own commands and options.
import type { Command, Option } from 'commander'
import { commandsOf, described, optionsOf, pathOf } from './command-line.ts'

/** What stands behind an option, as far as a shell can help. */
function valueKind(option: Option): 'none' | 'file' | 'directory' | 'text' {
  if (!option.required) return 'none'
  if (/<file>/.test(option.flags)) return 'file'
  return /<dir>/.test(option.flags) ? 'directory' : 'text'
}

/** packaging/deb/sluice.bash */
export function bashCompletion(): string {
  const program = described()
  const commands = commandsOf(program)
  const options = commands.flatMap(optionsOf)
  const flags = (value: string) =>
    [...new Set(options.filter((one) => valueKind(one) === value).flatMap(({ short, long }) => [short, long]))]
      .filter((flag) => flag !== undefined)
      .join(' | ')
  const words = (command: Command) =>
    [...command.commands.map((one) => one.name()), ...optionsOf(command).map(({ long }) => long)].join(' ')
  const paths = commands.map(
    (command) => `'${command.parent === program ? '' : pathOf(command.parent as Command)} ${command.name()}'`,
  )
  return `# bash completion of sluice, made by npm run docs
_sluice() {
  local word=\${COMP_WORDS[COMP_CWORD]} command='' words='' i
  case \${COMP_WORDS[COMP_CWORD - 1]} in
    ${flags('file')}) mapfile -t COMPREPLY < <(compgen -f -- "$word"); return ;;
    ${flags('directory')}) mapfile -t COMPREPLY < <(compgen -d -- "$word"); return ;;
    ${flags('text')}) return ;;
  esac
  for ((i = 1; i < COMP_CWORD; i++)); do
    case "$command \${COMP_WORDS[i]}" in
      ${paths.join(' | ')}) command="\${command:+$command }\${COMP_WORDS[i]}" ;;
    esac
  done
  case $command in
    '') words='${words(program)}' ;;
${commands.map((command) => `    '${pathOf(command)}') words='${words(command)}' ;;`).join('\n')}
  esac
  mapfile -t COMPREPLY < <(compgen -W "$words" -- "$word")
}
complete -F _sluice sluice
`
}

/** packaging/deb/sluice.fish */
export function fishCompletion(): string {
  const program = described()
  const lines = program.commands.flatMap((command) => {
    const seen = `__fish_seen_subcommand_from ${command.name()}`
    const names = command.commands.map((one) => one.name()).join(' ')
    const at = names === '' ? seen : `${seen}; and not __fish_seen_subcommand_from ${names}`
    const subcommands = command.commands.flatMap((one) => [
      fishLine(at, `-a ${one.name()}`, one.summary()),
      ...optionsOf(one).map((option) => fishOption(`${seen}; and __fish_seen_subcommand_from ${one.name()}`, option)),
    ])
    return [
      fishLine('__fish_use_subcommand', `-a ${command.name()}`, command.summary()),
      ...optionsOf(command).map((option) => fishOption(at, option)),
      ...subcommands,
    ]
  })
  return `# fish completion of sluice, made by npm run docs\ncomplete -c sluice -f\n${lines.join('\n')}\n`
}

const FISH_VALUE = { none: '', file: ' -r -F', directory: " -x -a '(__fish_complete_directories)'", text: ' -x' }

function fishOption(when: string, option: Option): string {
  const short = option.short === undefined ? '' : `-s ${option.short.slice(1)} `
  return fishLine(when, `${short}-l ${option.long?.slice(2)}${FISH_VALUE[valueKind(option)]}`, option.description)
}

function fishLine(when: string, what: string, description: string): string {
  const quoted = description.replaceAll('\\', '\\\\').replaceAll("'", "\\'")
  return `complete -c sluice -n '${when}' ${what} -d '${quoted}'`
}
