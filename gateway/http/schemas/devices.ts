import { z } from 'zod'
import { tags, time, value } from './common.ts'

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
    described: z
      .enum(['config', 'api'])
      .optional()
      .describe('who says what follows: the config file, which is changed there, or PUT /api/devices/{id}'),
    webhook: z.boolean().optional().describe('whether commands go to an HTTP endpoint of its own'),
    name: z.string().optional(),
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
      .describe('what it can be told; others are rejected'),
  })
  .describe('a device and its last reading')

/** Checked by the config's own schema, which says more of mistakes; here for the document. */
export const deviceDescription = z
  .looseObject({
    name: z.string().optional().describe('for people'),
    room: z.string().optional(),
    kind: z.string().optional(),
    units: z.record(z.string(), z.string()).optional().describe('by field'),
    webhook: z.string().nullish().describe('HTTP endpoint that takes its commands; left out: as before, null: none'),
    commands: z.record(z.string(), z.unknown()).optional().describe('as in the `devices` section of the config'),
  })
  .describe('what people say of a device; replaces what was said before')

export const deviceQuery = z.object({
  match: z.string().max(512).optional().describe('glob with * and ?'),
  id: z
    .union([z.string(), z.array(z.string())])
    .transform((given) => [given].flat())
    .pipe(z.array(z.string().max(1024)).max(1000))
    .optional()
    .describe('only this device; may be given several times'),
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

export type DeviceStatus = z.infer<typeof device>
export type DeviceQuery = z.infer<typeof deviceQuery>
export type DevicePage = z.infer<typeof devicePage>
