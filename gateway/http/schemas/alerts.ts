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
    by: z.string().optional().describe('who has seen it'),
    note: z.string().optional().describe('what they had to say about it'),
    value: z.unknown().optional(),
  })
  .describe('an alert that is raised')

const change = z.object({
  kind: z.literal('alert'),
  rule: z.string(),
  key: z.record(z.string(), z.string()),
  state: z.enum(['raised', 'repeated', 'cleared', 'acknowledged']),
  severity: z.string(),
  time,
  value: z.unknown().optional(),
  id: z.string().optional().describe('names the alert from `raised` to `cleared`'),
  by: z.string().optional(),
  note: z.string().optional(),
})

export const alertList = z
  .object({
    alerts: z.array(alert).describe('raised now, oldest first'),
    history: z.array(change).describe('what alerts did last, newest first; 100 are remembered'),
  })
  .describe('alerts')

export const acknowledgement = z
  .strictObject({
    by: z.string().min(1).max(256).optional().describe('who has seen it; default `api`'),
    note: z.string().min(1).max(1024).optional().describe('what they have to say about it; kept and sent upstream'),
  })
  .nullish()
  .describe('that somebody has seen an alert')

export type AlertChange = z.infer<typeof change>
export type AlertStatus = z.infer<typeof alert>
