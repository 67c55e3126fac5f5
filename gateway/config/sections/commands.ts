import { z } from 'zod'
import type { CommandOptions } from '../../commands/checks.ts'
import { duration } from '../duration.ts'
import { name, whole } from '../entry.ts'

const permission = z
  .strictObject({
    by: name({ example: 'rule:*' })
      .exactOptional()
      .describe('Who asks: `api`, `api:USER`, `upstream:NAME` or `rule:NAME`; `*` stands for anything.'),
    device: name({ example: 'lamp-*' }).exactOptional().describe('Device id; `*` stands for anything.'),
    command: name({ example: 'on' }).exactOptional().describe('Name of the command; `*` stands for anything.'),
  })
  .describe('What is left out matches everything.')

export const commandsSection = z
  .strictObject({
    deadline: duration({ min: 100, max: 366 * 86_400_000 }, { example: '30s' })
      .prefault('30s')
      .describe('Deadline of commands that name none.'),
    retry: z
      .strictObject({
        attempts: whole(1, 100, { example: 3 })
          .prefault(1)
          .describe(
            'How often a command is sent at most; each time under the same id, which a device drops when it had it.',
          ),
        after: duration({ min: 100 }, { example: '5s' })
          .prefault('5s')
          .describe('How long a device may take to answer before the command is sent again.'),
      })
      .prefault({})
      .describe('What happens when a device does not answer.'),
    maxOpen: whole(1, 1_000_000, { example: 10_000 })
      .prefault(10_000)
      .describe('Commands that wait for a device or its answer; further ones are rejected.'),
    allow: z
      .array(permission)
      .exactOptional()
      .describe('Who may command what. Without it every command is allowed; with it, what no entry allows is rejected.')
      .meta({ example: [{ by: 'rule:*' }, { by: 'api', device: 'lamp-*', command: 'on' }] }),
  })
  .prefault({})
  .transform((value): CommandOptions => value)
  .describe('Who may command what, and how commands are tried.')
