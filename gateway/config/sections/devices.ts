import { z } from 'zod'
import type { ArgumentDeclaration } from '../../commands/checks.ts'
import { flag, name } from '../entry.ts'
import { text } from '../scalar.ts'

const KINDS = ['button', 'switch', 'slider', 'shutter', 'choice', 'text'] as const

const argument = z
  .strictObject({
    type: z.enum(['number', 'text', 'boolean']).describe('What the argument is.'),
    min: z.number().exactOptional().describe('Least value of a number.'),
    max: z.number().exactOptional().describe('Greatest value of a number.'),
    oneOf: z.array(z.string()).min(1).exactOptional().describe('Values that a text may have.'),
    unit: name({ example: '%' }).exactOptional().describe('Unit, for people.'),
    optional: flag().prefault(false).describe('Whether it may be left out.'),
  })
  .superRefine(({ min, max }, context) => {
    if (min === undefined || max === undefined || min <= max) return
    context.addIssue({ code: 'custom', message: `min ${min} is more than max ${max}`, path: ['min'] })
  })
  .transform((value): ArgumentDeclaration => value)

const command = z.strictObject({
  kind: z.enum(KINDS).prefault('button').describe('How people see it.'),
  name: name({ example: 'Light on' }).exactOptional().describe('Name for people.'),
  args: z
    .record(z.string(), argument)
    .prefault({})
    .describe('Arguments by name; a command with others is rejected.')
    .meta({ example: { level: { type: 'number', min: 0, max: 100, unit: '%' } } }),
})

/** What people say of one device: in the config, or with `PUT /api/devices/{id}`. */
export const deviceDescription = z.strictObject({
  name: name({ example: 'Desk lamp' }).exactOptional().describe('Name for people.'),
  room: name({ example: 'Office' }).exactOptional().describe('Where it is.'),
  kind: name({ example: 'lamp' }).exactOptional().describe('What it is.'),
  units: z
    .record(z.string(), z.string())
    .prefault({})
    .describe('Units by field name.')
    .meta({ example: { temperature: '°C' } }),
  webhook: text(checkUrl, { example: 'http://192.168.1.20/command' })
    .exactOptional()
    .describe('HTTP endpoint that takes commands for this device; 2xx is its yes, 4xx its no.'),
  commands: z
    .record(z.string(), command)
    .exactOptional()
    .describe('Commands by name. When they are given, others are rejected.')
    .meta({ example: { on: { kind: 'switch' } } }),
})

export const devicesSection = z
  .record(z.string(), deviceDescription)
  .prefault({})
  .describe('What people say of devices: name, room, units, commands; by device id.')
  .meta({ example: { 'lamp-3': { name: 'Desk lamp', commands: { on: { kind: 'switch' } } } } })

function checkUrl(url: string): string | undefined {
  return /^https?:\/\/[^/\s]/.test(url) && URL.canParse(url)
    ? undefined
    : `\`${url}\` is no http:// or https:// address`
}
