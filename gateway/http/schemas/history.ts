import { z } from 'zod'
import { tags, time } from './common.ts'

const moment = (what: string) =>
  z.string().max(64).optional().describe(`${what}: ISO 8601, ms since the epoch, or a duration before now such as 24h`)

export const historyQuery = z.object({
  device: z.string().max(1024).optional().describe('whose field'),
  stream: z.string().max(1024).optional().describe('only of this stream of the device; default all of them together'),
  window: z.string().max(256).optional().describe('results of this window instead of readings'),
  key: z
    .string()
    .max(8192)
    .optional()
    .describe('the window\'s key as JSON, e.g. {"model":"X1"}; of a window by device alone `device` is enough'),
  field: z.string().min(1).max(256),
  from: moment('beginning; default one hour before `to`'),
  to: moment('end, not included; default now'),
  points: z.coerce.number().int().min(1).max(5000).default(300).describe('most points of the answer, about'),
})

export const history = z
  .object({
    device: z.string().optional(),
    stream: z.string().optional(),
    window: z.string().optional(),
    key: tags.optional(),
    field: z.string(),
    kind: z
      .enum(['number', 'boolean', 'text'])
      .describe('a boolean is 0 and 1, so its mean is the share of readings that were true'),
    unit: z.string().optional(),
    from: time,
    to: time,
    resolution: z.string().describe('finest that was used: raw, 1m, 1h or 1d'),
    stepMs: z
      .number()
      .describe('length of a point; those from before the finest one kept are longer; 0 for raw readings'),
    times: z.array(z.number()).describe('beginning of each point, ms since the epoch, ascending'),
    count: z.array(z.number()).describe('readings in each point'),
    min: z.array(z.number()).optional(),
    max: z.array(z.number()).optional(),
    mean: z.array(z.number()).optional(),
    text: z.array(z.string()).optional().describe('of a text field: the first text in each point'),
  })
  .describe('one field over time, in columns of one length; points without readings are left out')

export type HistoryQuery = z.infer<typeof historyQuery>
export type HistoryAnswer = z.infer<typeof history>
