import { z } from 'zod'
import type { Plugin } from '../../plugin.ts'
import { CLASSES, type RecordClass } from '../../record.ts'
import { bytes } from '../bytes.ts'
import { duration } from '../duration.ts'
import { flag, named, whole } from '../entry.ts'
import { pluginEntry } from '../plugin-entry.ts'

export interface UpstreamConfig {
  /** The plugin's name; `options` is what its schema made of them. */
  readonly plugin: string
  readonly options: unknown
  /** Bytes and ms. */
  readonly batch: { readonly count: number; readonly bytes: number; readonly age: number }
  readonly raw: boolean
  /** Records per second; no bound when absent. */
  readonly rate?: number
  /** In the order in which they are sent. */
  readonly classes: readonly RecordClass[]
}

const common = {
  batch: z
    .strictObject({
      count: whole(1, 100_000, { example: 500 }).prefault(500).describe('Most records in a batch.'),
      bytes: bytes({ min: 1024, max: 2 ** 28 }, { example: '256KB' })
        .prefault('256KB')
        .describe('Most bytes in a batch, before compression.'),
      age: duration({ max: 3_600_000 }, { example: '1s' }).prefault('1s').describe('Longest wait for more records.'),
    })
    .prefault({})
    .describe('How records are put together.'),
  raw: flag().prefault(false).describe('Forward readings too, not only results and events.'),
  rate: whole(1, 10_000_000, { example: 1000 })
    .exactOptional()
    .describe('Most records per second, so that a backlog leaves room for others.'),
  classes: z
    .array(z.enum(CLASSES))
    .min(1, 'name at least one of event, result, reading')
    .exactOptional()
    .describe('Only these classes of records; by default `event` and `result`, with `raw: true` also `reading`.'),
}

/** Plugins that can take batches may stand here. */
export function upstreamsSection(plugins: readonly Plugin[]) {
  const entry = pluginEntry(plugins, {
    role: 'sink',
    section: 'upstreams',
    common,
    example: 'mqtt: { url: "mqtt://127.0.0.1:1884" }',
  }).transform(({ plugin, options, rest: { batch, raw, rate, classes } }): UpstreamConfig => {
    const readings = raw || (classes?.includes('reading') ?? false)
    return {
      plugin,
      options,
      batch,
      raw: readings,
      ...(rate === undefined ? {} : { rate }),
      classes: CLASSES.filter((one) => (one === 'reading' ? readings : (classes?.includes(one) ?? true))),
    }
  })
  return named('upstream', entry)
    .prefault({})
    .describe('Where batches go, by name: a plugin with its options, and how to send. Each has a cursor of its own.')
    .meta({ example: { cloud: { mqtt: { url: 'mqtt://127.0.0.1:1884' }, batch: { count: 500, age: '1s' } } } })
}
