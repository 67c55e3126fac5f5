/** Health, and one screen of everything. */
import { z } from 'zod'
import { count, time } from './common.ts'

export const health = z
  .object({
    status: z.enum(['ok', 'stuck']),
    reason: z.string().optional().describe('which stage makes no progress, or which trouble a person must act on'),
    uptime: z.number().describe('seconds'),
  })
  .describe('whether the stages make progress')

export const readiness = z
  .object({
    ready: z.boolean(),
    reason: z.string().optional(),
  })
  .describe('whether every listener listens and recovery is over')

export const stage = z
  .object({
    stage: z.string().describe('ingest, decode, journal, window, rules, commands, outbox or upstream'),
    instance: z.string().optional().describe('which source, window or upstream'),
    in: count,
    out: count,
    inRate: z.number().describe('per second, over the last ten seconds'),
    outRate: z.number().describe('per second, over the last ten seconds'),
    bytes: count.optional(),
    errors: z.record(z.string(), z.number()).describe('by reason'),
    queue: z.number().optional().describe('what waits in this stage'),
    lagMs: z.number().optional().describe('age of the oldest that waits'),
    p99Ms: z.number().optional().describe('99th percentile of the time spent here, since the start'),
  })
  .describe('one stage, in flow order')

const source = z.object({
  name: z.string(),
  plugin: z.string(),
  state: z.string().describe('running, waiting or stopped'),
  error: z.string().optional().describe('why it waits'),
  since: time.optional(),
})

const upstreamState = z.object({
  name: z.string(),
  plugin: z.string(),
  state: z.string().describe('connected, connecting, waiting, stopped'),
  error: z.string().optional().describe('why it is not connected'),
  since: time.optional(),
  records: z.number().describe('waiting for it'),
  bytes: z.number(),
})

const storage = z
  .object({
    bytesWritten: z.number().describe('what the gateway gave to the disk since it started'),
    deviceBytesWritten: z
      .number()
      .optional()
      .describe('what the device below wrote in that time, by everybody; absent when it does not say'),
    lifeYears: z
      .number()
      .optional()
      .describe('how many years a new card of this size lasts at this rate; absent in the first ten minutes'),
    lifeUsed: z.number().optional().describe('share of its life that the card says is used, 0 to 1'),
    disk: z
      .object({ size: z.number(), free: z.number() })
      .optional()
      .describe('bytes of the file system that holds the data'),
  })
  .describe('what is written, and what that does to the card')

export const status = z
  .object({
    gateway: z.string(),
    version: z.string(),
    node: z.string(),
    pid: z.number(),
    started: time,
    uptime: z.number().describe('seconds'),
    now: time,
    config: z.string().nullable().describe('file, or null for the built-in defaults'),
    data: z.string().describe('data directory'),
    ports: z.record(z.string(), z.number()),
    notices: z.array(z.string()).describe('what a person should know, such as a restart that is needed'),
    memory: z.object({ rss: z.number(), heap: z.number() }).describe('bytes'),
    storage,
    devices: z.number(),
    sources: z.array(source),
    upstreams: z.array(upstreamState),
    stages: z.array(stage),
  })
  .describe('one screen of everything')

export type Health = z.infer<typeof health>
export type Readiness = z.infer<typeof readiness>
export type StageStatus = z.infer<typeof stage>
export type Status = z.infer<typeof status>
