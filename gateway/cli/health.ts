import type { Command } from 'commander'
import { reasonOf } from '../errors.ts'
import type { Health } from '../http/schemas.ts'
import type { CommandContext } from './actions.ts'
import { EXIT } from './exit-codes.ts'
import { duration } from './format.ts'
import { type CommonOptions, defineCommand, runningGateway } from './options.ts'

export function healthCommand(context: CommandContext): Command {
  return defineCommand('health', {
    summary: 'exit 0 when the gateway runs and makes progress, else 1; for HEALTHCHECK and watchdogs',
    examples: ['sluice health', 'HEALTHCHECK CMD ["sluice", "health"]'],
  })
    .option('--json', 'print JSON')
    .action(async (options: CommonOptions) => {
      const health = await examine(context, options)
      const ok = health.status === 'ok'
      context.setExitCode(ok ? EXIT.ok : EXIT.failure)
      if (options.json) context.terminal.print(JSON.stringify(health))
      else if (ok) context.terminal.print(`ok, up ${duration(health.uptime * 1000)}`)
      else context.terminal.complain(`sluice: ${health.status}: ${health.reason}`)
    })
}

/** Whatever keeps the gateway from answering is its state, not a failure of asking. */
async function examine(
  context: CommandContext,
  options: CommonOptions,
): Promise<Omit<Health, 'status'> & { status: Health['status'] | 'down' }> {
  try {
    const client = await runningGateway(context, options)
    return (await client.ask('GET', '/healthz')).body as Health
  } catch (error) {
    return { status: 'down', reason: reasonOf(error), uptime: 0 }
  }
}
