import type { Command } from 'commander'
import { reasonOf, SluiceError } from '../errors.ts'
import type { CommandStatus } from '../http/schemas.ts'
import type { CommandState } from '../record.ts'
import type { CommandContext } from './actions.ts'
import type { Client } from './client.ts'
import { type EventStream, openEvents } from './event-stream.ts'
import { EXIT } from './exit-codes.ts'
import { clockTime } from './format.ts'
import { type CommonOptions, defineCommand, runningGateway, usageError } from './options.ts'
import { harmless, type Terminal } from './terminal.ts'

interface Options extends CommonOptions {
  readonly id?: string
  readonly deadline?: string
  readonly ifOffline?: string
  readonly wait: boolean
}

const FINAL: ReadonlySet<CommandState> = new Set(['acknowledged', 'failed', 'expired', 'unconfirmed', 'rejected'])

/** What the API answers to an id that it has had. */
const REPEATED = 200

export function sendCommand(context: CommandContext): Command {
  return defineCommand('send <device> <command> [json]', {
    summary: 'send a command to a device and show how far it is; exit 0 only when the device acknowledged it',
    examples: ['sluice send pump-3 open', `sluice send pump-3 set '{"rate":12}' --deadline 30s`],
  })
    .argument('<device>', 'who shall do it')
    .argument('<command>', 'what')
    .argument('[json]', 'its arguments')
    .option('--id <id>', 'the same id twice is one command; default a new one')
    .option('--deadline <when>', 'a duration or an ISO time')
    .option('--if-offline <what>', 'wait (default) or fail')
    .option('--no-wait', 'end as soon as it is accepted')
    .option('--json', 'print JSON lines')
    .action((device: string, name: string, json: string | undefined, options: Options) => {
      const request = {
        device,
        command: name,
        ...(json === undefined ? {} : { args: parseArguments(json) }),
        ...(options.id === undefined ? {} : { id: options.id }),
        ...(options.deadline === undefined ? {} : { deadline: options.deadline }),
        ...(options.ifOffline === undefined ? {} : { ifOffline: options.ifOffline }),
      }
      return send(context, request, options)
    })
}

function parseArguments(json: string): unknown {
  try {
    return JSON.parse(json)
  } catch (error) {
    throw usageError(`the arguments are no JSON: ${reasonOf(error)}`)
  }
}

async function send(context: CommandContext, request: object, options: Options): Promise<void> {
  const client = await runningGateway(context, options)
  // Watching begins before sending, so that every change of state is seen, `accepted` too.
  const stream = options.wait ? await openEvents(client, new URLSearchParams({ types: 'command' })) : undefined
  try {
    const { status, body } = await client.post<CommandStatus>('/api/commands', request)
    const print = (command: CommandStatus) => show(context.terminal, command, options)
    // The states that a repeated command had before will not come again.
    const seen = stream === undefined || status === REPEATED
    if (seen) print(body)
    const done = seen && FINAL.has(body.state)
    const last = stream && !done ? await follow(client, stream, body, seen ? body.state : undefined, print) : body
    const wanted = last.state === 'acknowledged' || (!options.wait && last.state !== 'rejected')
    context.setExitCode(wanted ? EXIT.ok : EXIT.failure)
  } finally {
    stream?.close()
  }
}

/** Prints each new state until the last. */
async function follow(
  client: Client,
  stream: EventStream,
  sent: CommandStatus,
  seen: CommandState | undefined,
  print: (command: CommandStatus) => void,
): Promise<CommandStatus> {
  const { id } = sent
  let shown = seen
  for await (const event of stream.events) {
    const missed = event.type === 'dropped'
    if (!missed && event.data.id !== id) continue
    const now = missed
      ? await client.get<CommandStatus>(`/api/commands/${encodeURIComponent(id)}`)
      : ({ ...sent, result: undefined, reason: undefined, ...event.data } as CommandStatus)
    if (now.state !== shown) print(now)
    shown = now.state
    if (FINAL.has(shown)) return now
  }
  const message = `the gateway stopped before command ${id} was done; it goes on after a restart`
  throw new SluiceError('SLUICE_NO_ANSWER', message)
}

function show(terminal: Terminal, command: CommandStatus, options: Options): void {
  if (options.json) {
    terminal.print(JSON.stringify(command))
    return
  }
  const result = command.result === undefined ? '' : ` ${JSON.stringify(command.result)}`
  const reason = command.reason === undefined ? '' : ` ${command.reason}`
  terminal.print(harmless(`${clockTime(command.time)} ${command.id} ${command.state}${result}${reason}`))
}
