import { z } from 'zod'

export const runningConfig = z
  .object({
    file: z.string().nullable(),
    values: z.unknown().describe('as a person would write it: defaults filled in, secrets hidden'),
    origins: z.record(z.string(), z.enum(['default', 'file', 'env'])).describe('by dotted path, one per value'),
  })
  .describe('the config as it runs')

export type RunningConfig = z.infer<typeof runningConfig>
