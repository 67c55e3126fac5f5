import { z } from 'zod'
import { count, recordClass, time } from './common.ts'

const losses = z
  .record(z.string(), z.object({ count: z.number(), first: time.optional(), last: time.optional() }))
  .describe('by reason')

export const audit = z
  .object({
    balanced: z.boolean(),
    sources: z.array(
      z.object({
        source: z.string(),
        in: count,
        decoded: count,
        dead: losses,
        dropped: losses,
        balanced: z.boolean(),
      }),
    ),
    windows: z.array(
      z.object({
        source: z.string(),
        window: z.string(),
        decoded: count,
        windowed: count,
        open: count,
        late: count,
        corrected: count.optional().describe('those of the late that a correction counted'),
        filtered: count,
        balanced: z.boolean(),
      }),
    ),
    sinks: z.array(z.object({ sink: z.string(), class: recordClass, acknowledged: z.number(), waiting: z.number() })),
  })
  .describe('the loss ledger: in = decoded + dead + dropped; decoded = windowed + open + late + filtered')

export const deadLetterQuery = z.object({ limit: z.coerce.number().int().min(1).max(1000).default(50) })

export const deadLetters = z
  .object({
    total: z.number(),
    reasons: z.record(z.string(), z.number()),
    sources: z
      .record(z.string(), z.record(z.string(), z.object({ count: z.number(), first: time, last: time })))
      .optional()
      .describe('by source, by reason'),
    last: z
      .array(
        z.object({
          time,
          source: z.string(),
          topic: z.string(),
          reason: z.string(),
          message: z.string(),
          size: z.number().describe('bytes'),
          payload: z.string().describe('the beginning'),
          encoding: z.enum(['utf8', 'base64']).describe('of the payload shown'),
        }),
      )
      .describe('newest first'),
  })
  .describe('messages that could not be decoded')

export type Audit = z.infer<typeof audit>
export type DeadLetterPage = z.infer<typeof deadLetters>
