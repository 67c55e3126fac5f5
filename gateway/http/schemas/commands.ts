import { z } from 'zod'
import { time } from './common.ts'

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

export type CommandRequest = z.infer<typeof commandRequest>
export type CommandStatus = z.infer<typeof command>
export type CommandQuery = z.infer<typeof commandQuery>
