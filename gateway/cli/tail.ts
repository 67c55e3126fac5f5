import type { Command } from 'commander'
import { suggestion } from '../config/suggest.ts'
import type { CommandContext } from './actions.ts'
import { fieldList } from './devices.ts'
import { openEvents, type StreamEvent } from './event-stream.ts'
import { EXIT } from './exit-codes.ts'
import { clockTime, figure } from './format.ts'
import { type CommonOptions, defineCommand, positive, runningGateway, usageError } from './options.ts'
import { harmless, type Paint, paintFor } from './terminal.ts'

interface Options extends CommonOptions {
  readonly types: string
  readonly count?: string
}

/** Of the API's events, those that a person follows. */
const TYPES: readonly string[] = ['reading', 'window', 'command', 'alert', 'gap', 'upstream']

export function tailCommand(context: CommandContext): Command {
  return defineCommand('tail [pattern]', {
    summary: 'show readings and window results as they come',
    examples: ["sluice tail 'dvc30*'", "sluice tail 'telemetry/+/temperature'", 'sluice tail --types window --json'],
  })
    .argument('[pattern]', 'a device with * and ?, or an MQTT filter over telemetry/{device}/{stream}')
    .option('--types <list>', `of ${TYPES.join(', ')}`, 'reading,window,command,alert')
    .option('-n, --count <n>', 'end after so many')
    .option('--json', 'print JSON lines')
    .action((pattern: string | undefined, options: Options) => tail(context, pattern, options))
}

async function tail(context: CommandContext, pattern: string | undefined, options: Options): Promise<void> {
  const left = options.count === undefined ? Number.POSITIVE_INFINITY : positive('--count', options.count)
  for (const type of options.types.split(',')) {
    if (!TYPES.includes(type)) throw usageError(`--types: there is no type ${type}${suggestion(type, TYPES)}`)
  }
  const { terminal } = context
  const paint = paintFor(terminal)
  const client = await runningGateway(context, options)
  const query = new URLSearchParams({ types: options.types })
  if (pattern !== undefined) query.set('match', pattern)
  let shown = 0
  const stream = await openEvents(client, query)
  for await (const event of stream.events) {
    terminal.print(options.json ? JSON.stringify({ event: event.type, ...event.data }) : line(event, paint))
    if (event.type !== 'dropped' && ++shown >= left) return stream.close()
  }
  terminal.complain('sluice: the gateway has stopped')
  context.setExitCode(EXIT.notRunning)
}

/** One event as one line; what sensors wrote is shown, never obeyed. */
export function line({ type, data }: StreamEvent, paint: Paint): string {
  const text = (name: string) => harmless(String(data[name] ?? ''))
  switch (type) {
    case 'reading': {
      const spared = data.spared === undefined ? '' : paint.dim(` (${text('spared')} more not shown)`)
      const device = data.stream === undefined ? text('device') : `${text('device')}/${text('stream')}`
      return `${clockTime(text('time'))} ${paint.green('reading')} ${paint.bold(device)} ${harmless(fieldList(record(data.fields), 12))}${spared}`
    }
    case 'window':
      return windowLine(data, paint)
    case 'command':
      return `${clockTime(text('time'))} ${paint.bold('command')} ${text('device')} ${text('command')} ${text('id')} ${text('state')} ${text('reason')}`.trimEnd()
    case 'alert':
      return `${clockTime(text('time'))} ${paint.red('alert')} ${text('rule')} ${keyText(data.key)} ${text('state')} ${text('severity')} ${text('value')}`.trimEnd()
    case 'dropped':
      return paint.dim(`… ${text('count')} events were too fast to show`)
    default:
      return harmless(`${type} ${JSON.stringify(data)}`)
  }
}

function windowLine(data: Record<string, unknown>, paint: Paint): string {
  const span = `${clockTime(String(data.start))}–${clockTime(String(data.end))}`
  const kind = data.kind === 'correction' ? `correction ${data.rev}` : 'window'
  const fields = Object.entries(record(data.fields)).map(([name, value]) => `${name} ${statistics(record(value))}`)
  const head = `${span} ${paint.bold(kind)} ${harmless(String(data.window))} ${keyText(data.key)}`
  return `${head} count=${data.count}${fields.length > 0 ? `  ${harmless(fields.join('  '))}` : ''}`
}

/** The values of a text; of a number the mean and the range, or what else the window computes. */
function statistics(of: Record<string, unknown>): string {
  const { mean, min, max, values } = of
  if (values !== undefined) return fieldList(record(values))
  const range = typeof min === 'number' && typeof max === 'number' ? `${figure(min)}…${figure(max)}` : ''
  if (typeof mean === 'number') return range ? `${figure(mean)} (${range})` : figure(mean)
  if (range) return range
  const numbers = Object.entries(of).filter((entry): entry is [string, number] => typeof entry[1] === 'number')
  return numbers.map(([name, value]) => `${name}=${figure(value)}`).join(' ')
}

function keyText(key: unknown): string {
  return harmless(fieldList(record(key))) || 'all'
}

function record(value: unknown): Record<string, unknown> {
  return value !== null && typeof value === 'object' ? (value as Record<string, unknown>) : {}
}
