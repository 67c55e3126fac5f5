import { z } from 'zod'
import { time } from './common.ts'

export const change = z
  .object({
    time,
    who: z.string().describe('a user, `operator`, `local` (no token needed) or `cli`'),
    role: z.string(),
    address: z.string().optional().describe('where the request came from'),
    action: z
      .string()
      .describe('stable, e.g. device.describe, outbox.skip, alert.acknowledge, config.apply, log.level'),
    what: z.string().describe('for a person, after the name: described device lamp-1'),
    details: z.record(z.string(), z.unknown()).optional(),
  })
  .describe('one change that somebody made')

export const changeQuery = z.object({ limit: z.coerce.number().int().min(1).max(1000).default(100) })
export const changeList = z.object({ changes: z.array(change) }).describe('newest first')

export type Change = z.infer<typeof change>
