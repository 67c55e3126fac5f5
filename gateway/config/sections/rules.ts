import { z } from 'zod'
import type { RuleDefinition } from '../../rules/definition.ts'
import { parseCondition, parseEffects } from '../../rules/parse.ts'
import { duration, parseDuration } from '../duration.ts'
import { flag, name, named, whole } from '../entry.ts'
import { scalar } from '../scalar.ts'

/** Spelled so because an object with a method of that name would be a promise; this is a key of the config. */
const THEN = 'then'
const LONGEST = 366 * 86_400_000

/** A rule without its name, and what `sluice check` tries on it. */
export type RuleConfig = Omit<RuleDefinition, 'name'> & { readonly tests: readonly RuleTest[] }

/** Times are ms after the test's begin. */
export interface RuleTest {
  readonly name?: string
  readonly given: readonly {
    readonly at: number
    readonly device?: string
    readonly stream?: string
    readonly tags: Readonly<Record<string, string>>
    readonly key?: Readonly<Record<string, string>>
    readonly fields: Readonly<Record<string, unknown>>
  }[]
  readonly until?: number
  readonly expect: readonly {
    readonly at?: number
    readonly alert?: string
    readonly device?: string
    readonly key?: Readonly<Record<string, string>>
    readonly command?: string
    readonly args?: unknown
  }[]
}

const condition = (example: object) =>
  scalar((value) => parseCondition(value), { type: 'object', 'x-value': 'condition', example })

const effects = (mayAlert: boolean, example: unknown) =>
  scalar((value) => parseEffects(value, mayAlert), { 'x-value': 'effects', example })

/** `90`, `1m30s`; a bare number is seconds. */
const moment = scalar((value) => (typeof value === 'number' ? value * 1000 : parseDuration(value)), {
  type: ['string', 'number'],
  example: '30s',
})

const test = z.strictObject({
  name: name().exactOptional().describe('What it shows.'),
  given: z
    .array(
      z.strictObject({
        at: moment.describe('When, after the begin of the test.'),
        device: name().exactOptional().describe('Device of the reading.'),
        stream: name().exactOptional().describe('Stream of the reading.'),
        tags: z.record(z.string(), z.string()).prefault({}).describe('Tags of the reading.'),
        key: z.record(z.string(), z.string()).exactOptional().describe('Key of the result, for rules on windows.'),
        fields: z.record(z.string(), z.unknown()).describe('Fields; of a result `{ cpu: { mean: 80 } }`.'),
      }),
    )
    .describe('What comes in.'),
  until: moment.exactOptional().describe('When the test ends; by default with the last that comes in.'),
  expect: z
    .array(
      z.strictObject({
        at: moment.exactOptional().describe('When; left out, any time.'),
        alert: z.enum(['raised', 'repeated', 'cleared']).exactOptional().describe('State of the alert.'),
        device: name().exactOptional().describe('Device of the alert or command.'),
        key: z.record(z.string(), z.string()).exactOptional().describe('Key of the alert.'),
        command: name().exactOptional().describe('Name of the command.'),
        args: z.unknown().optional().describe('Its arguments; left out, any.'),
      }),
    )
    .describe('Alerts and commands, in order and no others.'),
})

const rule = z
  .strictObject({
    on: name({ example: 'per-device' })
      .prefault('readings')
      .describe('What it looks at: `readings`, or the results of the window of this name.'),
    by: z
      .array(name())
      .min(1)
      .prefault(['device'])
      .describe('Of readings: what one alert is for. Results have their own key.'),
    where: z
      .record(z.string(), z.string())
      .prefault({})
      .describe('Only devices, streams or tags that match; `*` stands for anything.')
      .meta({ example: { device: 'freezer-*' } }),
    when: condition({ field: 'temperature', above: 30, hysteresis: 2 }).describe(
      'The condition: a field with `above`, `below`, `between`, `outside` (and `hysteresis`), `equals`, `oneOf`, `changes` or `rate: { above, per }`; `absent: 5m`; combined with `and`, `or`, `not`.',
    ),
    clear: condition({ field: 'temperature', below: 25 })
      .exactOptional()
      .describe('Condition that ends it; by default it ends when `when` does not hold any more.'),
    for: duration({ max: LONGEST }, { example: '30s' })
      .prefault('0s')
      .describe('How long the condition must hold before anything happens.'),
    severity: z.enum(['info', 'warning', 'critical']).prefault('warning').describe('How bad it is.'),
    repeat: duration({ max: LONGEST }, { example: '10m' })
      .prefault('0s')
      .describe('How often the alert is said again while it lasts and nobody acknowledged it; 0: never.'),
    [THEN]: effects(true, ['alert', { command: { device: 'fan', command: 'on' } }])
      .prefault(['alert'])
      .describe(
        'What happens: `alert`, `command: { device, command, args }`, `publish: { topic, payload }`. `{device}` and other parts of the key are filled in, else `{rule}`, `{value}`, `{severity}` and `{state}`.',
      ),
    onClear: effects(false, [{ command: { device: 'fan', command: 'off' } }])
      .prefault([])
      .describe('Commands and publications when it is over.'),
    late: flag().prefault(false).describe('Also for readings that are older than the newest of their key.'),
    corrections: flag().prefault(false).describe('Also for corrections of results.'),
    maxPerMinute: whole(1, 1_000_000, { example: 100 })
      .prefault(100)
      .describe('Alerts raised per minute; further ones are only counted, in one record.'),
    tests: z.array(test).prefault([]).describe('Tried by `sluice check` with a clock of its own.'),
  })
  .transform(({ [THEN]: done, ...rest }) => ({ ...rest, effects: done }) as RuleConfig)

export const rulesSection = named('rule', rule)
  .prefault({})
  .describe('Conditions on readings and results that raise alerts, send commands or publish, by name.')
  .meta({ example: { hot: { when: { field: 'temperature', above: 30 }, for: '30s' } } })
