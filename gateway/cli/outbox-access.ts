/** The outbox as the commands use it: of the running gateway, else in its files. */
import { Readable } from 'node:stream'
import { SluiceError } from '../errors.ts'
import type { OutboxSink, OutboxStatus, SkipRequest } from '../http/schemas.ts'
import type { StoredOutbox } from '../outbox/stored.ts'
import { notRemoved, unknownSink } from '../outbox/unknown.ts'
import type { RecordClass } from '../record.ts'
import type { CommandContext } from './actions.ts'
import { type Client, connectClient } from './client.ts'
import { NOT_RUNNING } from './exit-codes.ts'
import { type CommonOptions, dataDirectory } from './options.ts'

/** Budget and policies belong to a gateway that runs. */
export type ShownOutbox = Pick<OutboxStatus, 'bytes' | 'classes' | 'sinks'> &
  Partial<Pick<OutboxStatus, 'maxBytes' | 'whenFull'>>

export interface OutboxAccess {
  status(): Promise<ShownOutbox>
  /** The records that wait, one JSON text per line. */
  export(sink: string, recordClass: RecordClass | undefined): Promise<Readable>
  /** Resolves with how many. */
  skip(sink: string, request: SkipRequest): Promise<number>
  forget(sink: string): Promise<void>
}

/** @param write what `use` does changes something: in the files that takes the data directory's lock */
export async function withOutbox<T>(
  context: CommandContext,
  options: CommonOptions,
  write: boolean,
  use: (outbox: OutboxAccess) => Promise<T>,
): Promise<T> {
  const data = await dataDirectory(context, options)
  try {
    return await use(ofRunning(await connectClient(data)))
  } catch (error) {
    // Nothing was done yet: nobody was there to do it.
    const files = isNotRunning(error) ? await context.actions.openOutbox({ data, write }) : undefined
    if (files === undefined) throw error
    try {
      return await use(ofFiles(files))
    } finally {
      await files.close()
    }
  }
}

function isNotRunning(error: unknown): boolean {
  return error instanceof SluiceError && error.code === NOT_RUNNING
}

function ofRunning(client: Client): OutboxAccess {
  const path = (sink: string, what: string) => `/api/outbox/${encodeURIComponent(sink)}/${what}`
  return {
    status: () => client.get<OutboxStatus>('/api/outbox'),
    export: (sink, recordClass) =>
      client.open(path(sink, `export${recordClass === undefined ? '' : `?class=${encodeURIComponent(recordClass)}`}`)),
    skip: async (sink, request) => (await client.post<{ skipped: number }>(path(sink, 'skip'), request)).body.skipped,
    async forget(sink) {
      await client.post(path(sink, 'forget'))
    },
  }
}

function ofFiles(outbox: StoredOutbox): OutboxAccess {
  const known = <T>(value: T | undefined, sink: string): T => {
    if (value === undefined) throw unknownSink(sink)
    return value
  }
  return {
    async status() {
      const { sinks, classes, bytes } = outbox.status()
      return { bytes, classes: [...classes], sinks: sinks.map(shownSink) }
    },
    export: async (sink, recordClass) => Readable.from(lines(known(outbox.export(sink, recordClass), sink))),
    skip: async (sink, { class: recordClass, through }) => known(await outbox.skip(sink, recordClass, through), sink),
    async forget(sink) {
      if (!(await outbox.forget(sink))) throw notRemoved(sink)
    },
  }
}

function shownSink({ name, removed, backlog }: ReturnType<StoredOutbox['status']>['sinks'][number]): OutboxSink {
  return {
    name,
    state: removed ? 'removed' : 'stopped',
    backlog: backlog.map(({ class: recordClass, records, bytes, acked, oldest }) => ({
      class: recordClass,
      records,
      bytes,
      acked,
      ...(oldest === undefined ? {} : { oldest: new Date(oldest).toISOString() }),
    })),
  }
}

async function* lines(records: AsyncIterable<Buffer>): AsyncGenerator<string> {
  for await (const record of records) yield `${record.toString()}\n`
}
