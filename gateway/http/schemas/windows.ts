import { z } from 'zod'
import { count, tags, time } from './common.ts'

const statistics = z.record(z.string(), z.unknown())

export const windowResult = z
  .object({
    kind: z.enum(['window', 'correction']),
    rev: z.number().optional(),
    window: z.string(),
    key: tags,
    start: time,
    end: time,
    count: z.number(),
    fields: z.record(z.string(), statistics),
  })
  .describe('one closed window, as it goes upstream')

const windowDefinition = z.object({
  name: z.string(),
  kind: z.string().describe('tumbling, hopping or session'),
  by: z.array(z.string()),
  keys: z.number().describe('open now'),
  emitted: count,
  corrections: count.optional(),
  late: count.optional(),
  evicted: count.optional(),
})

export const windowQuery = z.object({
  window: z.string().max(256).optional().describe('only of this definition'),
  device: z.string().max(1024).optional().describe('only with this device in the key'),
  limit: z.coerce.number().int().min(1).max(10_000).default(100),
})

export const windowPage = z
  .object({
    definitions: z.array(windowDefinition),
    results: z.array(windowResult).describe('newest first, as many as are remembered'),
  })
  .describe('window definitions and their latest results')

export type WindowQuery = z.infer<typeof windowQuery>
export type WindowPage = z.infer<typeof windowPage>
