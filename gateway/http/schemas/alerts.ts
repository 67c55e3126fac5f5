import { z } from 'zod'
import { time } from './common.ts'

export const alert = z
  .object({
    id: z.string(),
    rule: z.string(),
    key: z.record(z.string(), z.string()),
    severity: z.string(),
    raised: time,
    acknowledged: z.boolean(),
    value: z.unknown().optional(),
  })
  .describe('an alert that is raised')

export const alertList = z.object({ alerts: z.array(alert) }).describe('oldest first')

export const acknowledgement = z
  .strictObject({ by: z.string().min(1).max(256).optional().describe('who has seen it; default `api`') })
  .nullish()
  .describe('that somebody has seen an alert')

export type AlertStatus = z.infer<typeof alert>
