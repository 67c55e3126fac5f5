import { createWriteStream } from 'node:fs'
import { pipeline } from 'node:stream/promises'
import type { Command } from 'commander'
import { suggestion } from '../config/suggest.ts'
import type { OutboxSink, OutboxStatus } from '../http/schemas.ts'
import { CLASSES, type RecordClass } from '../record.ts'
import type { CommandContext } from './actions.ts'
import { fieldList } from './devices.ts'
import { bytes, count, duration } from './format.ts'
import { type CommonOptions, defineCommand, positive, runningGateway, usageError } from './options.ts'
import { type ShownOutbox, withOutbox } from './outbox-access.ts'
import { type Column, table } from './table.ts'
import { paintFor } from './terminal.ts'

interface SkipOptions extends CommonOptions {
  readonly class?: string
  readonly through?: string
}

interface ExportOptions extends CommonOptions {
  readonly class?: string
  readonly output?: string
}

const SUBCOMMANDS = ['show', 'retry', 'skip', 'forget', 'export']

/** `sluice outbox` shows; its subcommands act. All but `retry` work on the files when the gateway does not run. */
export function outboxCommand(context: CommandContext): Command {
  const show = defineCommand('show', { summary: 'show what waits, per upstream', examples: ['sluice outbox'] })
    .allowExcessArguments()
    .action((_options, command) => {
      const [written] = command.args
      // What is no subcommand comes here too.
      if (written !== undefined) throw usageError(`outbox has no command ${written}${suggestion(written, SUBCOMMANDS)}`)
      return showOutbox(context, command.optsWithGlobals())
    })
  return defineCommand('outbox', {
    summary: 'what waits to go upstream: show, retry, skip, forget, export',
    examples: ['sluice outbox', 'sluice outbox retry cloud', 'sluice outbox export cloud > backlog.ndjson'],
  })
    .option('--json', 'print JSON')
    .addCommand(show, { isDefault: true })
    .addCommand(retryCommand(context))
    .addCommand(skipCommand(context))
    .addCommand(forgetCommand(context))
    .addCommand(exportCommand(context))
}

function retryCommand(context: CommandContext): Command {
  return defineCommand('retry', { summary: 'try an upstream now', examples: ['sluice outbox retry cloud'] })
    .argument('<upstream>')
    .action(async (sink: string, _options: object, command: Command) => {
      const options: CommonOptions = command.optsWithGlobals()
      const client = await runningGateway(context, options)
      await client.post(`/api/outbox/${encodeURIComponent(sink)}/retry`)
      context.terminal.print(`${sink} is tried now`)
    })
}

function skipCommand(context: CommandContext): Command {
  return defineCommand('skip', {
    summary: 'give up what waits for an upstream; it is recorded as a gap',
    examples: ['sluice outbox skip cloud --class reading', 'sluice outbox skip cloud --class result --through 1043'],
  })
    .argument('<upstream>')
    .option('--class <class>', 'only event, result or reading')
    .option('--through <seq>', 'up to this sequence number; default all')
    .action(async (sink: string, _options: object, command: Command) => {
      const options: SkipOptions = command.optsWithGlobals()
      const request = {
        ...(options.class === undefined ? {} : { class: recordClass(options.class) }),
        ...(options.through === undefined ? {} : { through: positive('--through', options.through) }),
      }
      const skipped = await withOutbox(context, options, true, (outbox) => outbox.skip(sink, request))
      context.terminal.print(`${count(skipped)} records skipped, recorded as a gap`)
    })
}

function forgetCommand(context: CommandContext): Command {
  return defineCommand('forget', {
    summary: 'drop what is kept for an upstream that is no longer in the configuration',
    examples: ['sluice outbox forget old-cloud'],
  })
    .argument('<upstream>')
    .action(async (sink: string, _options: object, command: Command) => {
      await withOutbox(context, command.optsWithGlobals<CommonOptions>(), true, (outbox) => outbox.forget(sink))
      context.terminal.print(`${sink} is forgotten`)
    })
}

function exportCommand(context: CommandContext): Command {
  return defineCommand('export', {
    summary: 'write a copy of what waits, one JSON record per line',
    examples: ['sluice outbox export cloud > backlog.ndjson', 'sluice outbox export cloud --output backlog.ndjson'],
  })
    .argument('<upstream>')
    .option('--class <class>', 'only event, result or reading')
    .option('-o, --output <file>', 'default standard output')
    .action(async (sink: string, _options: object, command: Command) => {
      const options: ExportOptions = command.optsWithGlobals()
      const wanted = options.class === undefined ? undefined : recordClass(options.class)
      await withOutbox(context, options, false, async (outbox) => {
        const records = await outbox.export(sink, wanted)
        if (options.output === undefined) await pipeline(records, process.stdout, { end: false })
        else await pipeline(records, createWriteStream(options.output, { mode: 0o600 }))
      })
    })
}

async function showOutbox(context: CommandContext, options: CommonOptions): Promise<void> {
  const outbox = await withOutbox(context, options, false, (access) => access.status())
  const { terminal } = context
  if (options.json) {
    terminal.print(JSON.stringify(outbox))
    return
  }
  const paint = paintFor(terminal)
  const now = context.actions.clock.now()
  const rows = outbox.sinks.flatMap((sink) => sink.backlog.map((backlog) => ({ sink, backlog })))
  terminal.print(budget(outbox))
  terminal.print('')
  terminal.print(table(columns(now), rows, paint))
  for (const sink of outbox.sinks) if (sink.error) terminal.print(paint.red(`! ${sink.name}: ${sink.error}`))
}

function budget({ bytes: used, maxBytes, whenFull }: ShownOutbox): string {
  if (maxBytes === undefined || whenFull === undefined) return `${bytes(used)} used; the gateway does not run`
  return `${bytes(used)} of ${bytes(maxBytes)} used; when full: ${policies(whenFull)}`
}

/** @throws SluiceError SLUICE_USAGE */
function recordClass(text: string): RecordClass {
  const found = CLASSES.find((known) => known === text)
  if (found === undefined) throw usageError(`--class ${text}: one of ${CLASSES.join(', ')}`)
  return found
}

interface Row {
  readonly sink: OutboxSink
  readonly backlog: OutboxSink['backlog'][number]
}

function columns(now: number): readonly Column<Row>[] {
  const age = (oldest: string | undefined) =>
    oldest === undefined ? undefined : duration(Math.max(0, now - Date.parse(oldest)))
  return [
    { head: 'UPSTREAM', cell: (row) => row.sink.name },
    { head: 'STATE', cell: (row) => row.sink.state },
    { head: 'CLASS', cell: (row) => row.backlog.class },
    { head: 'WAITING', cell: (row) => count(row.backlog.records), right: true },
    { head: 'BYTES', cell: (row) => bytes(row.backlog.bytes), right: true },
    { head: 'OLDEST', cell: (row) => age(row.backlog.oldest), right: true },
    { head: 'DRAINED IN', cell: ({ backlog }) => drain(backlog.drainSeconds), right: true },
  ]
}

function drain(seconds: number | undefined): string | undefined {
  return seconds === undefined ? undefined : duration(seconds * 1000)
}

/** One word when all classes share it. */
function policies(whenFull: OutboxStatus['whenFull']): string {
  const different = new Set(Object.values(whenFull))
  return different.size === 1 ? [...different].join() : fieldList(whenFull)
}
