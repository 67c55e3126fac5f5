import type { Command } from 'commander'
import { SluiceError } from '../errors.ts'
import type { CommandContext } from './actions.ts'
import { embeddedNotices, knownFlaw } from './embedded-node.ts'
import { type CommonOptions, defineCommand } from './options.ts'

interface Options extends CommonOptions {
  readonly licenses?: boolean
}

export function versionCommand({ actions, terminal }: CommandContext): Command {
  return defineCommand('version', {
    summary: 'show what this is',
    examples: ['sluice version --json', 'sluice version --licenses'],
  })
    .option('--json', 'print JSON')
    .option('--licenses', 'print the licences of everything this executable contains')
    .action((options: Options) => {
      if (options.licenses) return terminal.print(licenses())
      const { version } = actions
      const { platform, arch } = process
      const warning = knownFlaw(process.version)
      const warnings = warning === undefined ? {} : { warnings: [warning] }
      if (options.json)
        return terminal.print(JSON.stringify({ version, node: process.version, platform, arch, ...warnings }))
      terminal.print(`sluice ${version} (node ${process.version}, ${platform} ${arch})`)
      if (warning !== undefined) terminal.print(`warning: ${warning}`)
    })
}

function licenses(): string {
  const text = embeddedNotices()
  if (text !== undefined) return text.trimEnd()
  const message = 'only the single executable carries licences; here they are in the packages of node_modules'
  throw new SluiceError('SLUICE_NO_NOTICES', message)
}
