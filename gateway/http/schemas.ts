/**
 * The shapes of the API, once: the TypeScript types, the checks on requests and the OpenAPI document come from here.
 * Responses are not filtered through them, so that a stage may show more than is written here.
 *
 * Times are ISO 8601 UTC with milliseconds; `…Ms` are milliseconds; sizes are bytes.
 */
import { z } from 'zod'

const time = z.string().describe('ISO 8601 UTC with milliseconds')
const count = z.number().describe('a count since the ledger began')
const tags = z.record(z.string(), z.string())
const value = z.union([z.number(), z.string(), z.boolean()])

export const RECORD_CLASSES = ['event', 'result', 'reading'] as const

export const failure = z
  .object({
    code: z.string().describe('stable, e.g. SLUICE_NOT_FOUND'),
    message: z.string().describe('for a person'),
  })
  .describe('what went wrong')

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
    bytes: count,
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
    devices: z.number(),
    sources: z.array(source),
    upstreams: z.array(upstreamState),
    stages: z.array(stage),
  })
  .describe('one screen of everything')

export const runningConfig = z
  .object({
    file: z.string().nullable(),
    values: z.unknown().describe('as a person would write it: defaults filled in, secrets hidden'),
    origins: z.record(z.string(), z.enum(['default', 'file', 'env'])).describe('by dotted path, one per value'),
  })
  .describe('the config as it runs')

export const device = z
  .object({
    id: z.string(),
    source: z.string(),
    stream: z.string().optional(),
    time: time.describe("event time of its last reading; of one that has sent none, the gateway's start"),
    received: time,
    readings: z.number().describe('since the process started'),
    tags,
    fields: z.record(z.string(), value).describe('of its last reading'),
    connection: z
      .object({
        source: z.string(),
        state: z.enum(['online', 'asleep', 'offline']),
        details: z.record(z.string(), value).optional(),
      })
      .optional()
      .describe('of a device that its source keeps a connection or a registration of'),
    name: z.string().optional().describe('as the config says'),
    room: z.string().optional(),
    kind: z.string().optional(),
    units: z.record(z.string(), z.string()).optional().describe('by field'),
    commands: z
      .record(
        z.string(),
        z.object({
          kind: z.string(),
          name: z.string().optional(),
          args: z.record(
            z.string(),
            z.object({
              type: z.enum(['number', 'text', 'boolean']),
              min: z.number().optional(),
              max: z.number().optional(),
              oneOf: z.array(z.string()).optional(),
              unit: z.string().optional(),
              optional: z.boolean(),
            }),
          ),
        }),
      )
      .optional()
      .describe('what it can be told, as the config says'),
  })
  .describe('a device and its last reading')

export const deviceQuery = z.object({
  match: z.string().max(512).optional().describe('glob with * and ?'),
  after: z.string().max(1024).optional().describe('the last id of the page before'),
  limit: z.coerce.number().int().min(1).max(10_000).default(1000),
})

export const devicePage = z
  .object({
    total: z.number(),
    devices: z.array(device),
    next: z.string().optional().describe('give it as `after` for the next page'),
  })
  .describe('devices by id')

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

export const COMMAND_STATES = [
  'accepted',
  'sent',
  'acknowledged',
  'failed',
  'expired',
  'unconfirmed',
  'rejected',
] as const

export const commandRequest = z
  .strictObject({
    id: z.string().min(1).max(256).optional().describe('the same id twice is one command'),
    device: z.string().min(1).max(1024),
    command: z.string().min(1).max(256),
    args: z.unknown().optional(),
    deadline: z
      .union([z.string().max(64), z.number().positive()])
      .optional()
      .describe('a duration such as 30s, or an ISO 8601 time'),
    ifOffline: z
      .enum(['wait', 'fail'])
      .optional()
      .describe('whether it waits for a device that is not there; default wait'),
    onlyIf: z
      .strictObject({
        field: z.string().min(1).max(256),
        equals: z.union([z.string(), z.number(), z.boolean()]).optional(),
        above: z.number().optional(),
        below: z.number().optional(),
      })
      .optional()
      .describe("what must be true of the device's last reading when it is sent"),
  })
  .describe('a telecommand')

export const command = z
  .object({
    id: z.string(),
    device: z.string(),
    command: z.string(),
    args: z.unknown().optional(),
    state: z.enum(COMMAND_STATES),
    by: z.string(),
    created: time,
    time: time.describe('of the last change'),
    deadline: time,
    attempts: z.number().optional().describe('how often it was sent'),
    result: z.unknown().optional(),
    reason: z.string().optional(),
  })
  .describe('a telecommand and how far it is')

export const commandQuery = z.object({
  device: z.string().max(1024).optional(),
  state: z.enum(COMMAND_STATES).optional(),
  limit: z.coerce.number().int().min(1).max(10_000).default(100),
})

export const commandList = z.object({ commands: z.array(command) }).describe('newest first')

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

const recordClass = z.enum(RECORD_CLASSES)

const backlog = z.object({
  class: recordClass,
  records: z.number().describe('waiting'),
  bytes: z.number(),
  oldest: time.optional().describe('when the oldest that waits was recorded'),
  acked: z.number().optional().describe('highest sequence number acknowledged, 0 when none'),
  rate: z.number().optional().describe('records acknowledged per second'),
  drainSeconds: z.number().optional().describe('estimate; absent when it does not drain'),
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

export type Health = z.infer<typeof health>
export type Readiness = z.infer<typeof readiness>
export type StageStatus = z.infer<typeof stage>
export type Status = z.infer<typeof status>
export type RunningConfig = z.infer<typeof runningConfig>
export type DeviceStatus = z.infer<typeof device>
export type DeviceQuery = z.infer<typeof deviceQuery>
export type DevicePage = z.infer<typeof devicePage>
export type WindowQuery = z.infer<typeof windowQuery>
export type WindowPage = z.infer<typeof windowPage>
export type AlertStatus = z.infer<typeof alert>
export type CommandRequest = z.infer<typeof commandRequest>
export type CommandStatus = z.infer<typeof command>
export type CommandQuery = z.infer<typeof commandQuery>
export type OutboxSink = z.infer<typeof outboxSink>
export type OutboxStatus = z.infer<typeof outbox>
export type SkipRequest = NonNullable<z.infer<typeof skipRequest>>
export type Audit = z.infer<typeof audit>
export type DeadLetterPage = z.infer<typeof deadLetters>
