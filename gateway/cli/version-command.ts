import type { Command } from 'commander'
import type { CommandContext } from './actions.ts'
import { type CommonOptions, defineCommand } from './options.ts'

export function versionCommand({ actions, terminal }: CommandContext): Command {
  return defineCommand('version', { summary: 'show what this is', examples: ['sluice version --json'] })
    .option('--json', 'print JSON')
    .action((options: CommonOptions) => {
      const { version } = actions
      const { platform, arch } = process
      if (options.json) terminal.print(JSON.stringify({ version, node: process.version, platform, arch }))
      else terminal.print(`sluice ${version} (node ${process.version}, ${platform} ${arch})`)
    })
}
