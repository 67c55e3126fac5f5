import { z } from 'zod'
import { count, recordClass, time } from './common.ts'

const backlog = z.object({
  class: recordClass,
  records: z.number().describe('waiting'),
  bytes: z.number(),
  oldest: time.optional().describe('when the oldest that waits was recorded'),
  acked: z.number().optional().describe('highest sequence number acknowledged, 0 when none'),
  rate: z.number().optional().describe('records acknowledged per second'),
  inRate: z.number().optional().describe('records that came per second, over the last ten seconds'),
  drainSeconds: z.number().optional().describe('estimate, with what comes meanwhile; absent when it does not drain'),
})

export const outboxSink = z
  .object({
    name: z.string(),
    state: z.string().describe('connected, connecting, waiting, stopped, or removed (no longer in the config)'),
    error: z.string().optional(),
    retryAt: time.optional().describe('next attempt'),
    sent: count.optional().describe('records handed to it, those sent again included'),
    acked: count.optional().describe('records it has taken'),
    refused: count.optional().describe('records it will never take; each is in a gap record'),
    backlog: z.array(backlog),
  })
  .describe('one upstream and what waits for it')

export const outbox = z
  .object({
    bytes: z.number(),
    maxBytes: z.number(),
    whenFull: z.record(recordClass, z.string()),
    classes: z.array(
      z.object({
        class: recordClass,
        epoch: z.string(),
        first: z.number().describe('lowest sequence number that is kept'),
        next: z.number().describe('sequence number of the next record'),
        bytes: z.number(),
        lost: z.record(z.string(), z.number()).optional().describe('numbers lost since the process started, by reason'),
        full: z.boolean().optional(),
      }),
    ),
    sinks: z.array(outboxSink),
  })
  .describe('what waits to go upstream')

export const outboxHistoryQuery = z.object({
  span: z.enum(['1h', '24h']).default('1h').describe('1h in steps of ten seconds, 24h in steps of five minutes'),
})

export const outboxHistory = z
  .object({
    stepMs: z.number(),
    times: z.array(z.number()).describe('ms since the epoch, ascending; since the process started at most'),
    series: z.array(
      z.object({
        sink: z.string(),
        class: recordClass,
        records: z.array(z.number()).describe('waiting'),
        bytes: z.array(z.number()),
        in: z.array(z.number()).describe('records per second'),
        out: z.array(z.number()).describe('records acknowledged per second'),
      }),
    ),
  })
  .describe('what waited and how fast it moved, in columns as long as `times`')

export const sinkParams = z.object({ sink: z.string() })
export const skipRequest = z
  .strictObject({
    class: recordClass.optional().describe('only this class'),
    through: z.number().int().optional().describe('last sequence number to skip; default all that waits'),
  })
  .nullish()
  .describe('what to skip')
export const skipped = z.object({ skipped: z.number() }).describe('how many records; each is in a gap record')
export const exportQuery = z.object({ class: recordClass.optional() })

export type OutboxSink = z.infer<typeof outboxSink>
export type OutboxHistory = z.infer<typeof outboxHistory>
export type OutboxStatus = z.infer<typeof outbox>
export type SkipRequest = NonNullable<z.infer<typeof skipRequest>>
