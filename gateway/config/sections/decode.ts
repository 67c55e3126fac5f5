import { z } from 'zod'
import type { DecodeRule } from '../../decode/rule.ts'
import { compilePattern } from '../../decode/topic-pattern.ts'
import { reasonOf } from '../../errors.ts'
import { duration } from '../duration.ts'
import { flag, name } from '../entry.ts'
import { scalar, shown, text, Wrong } from '../scalar.ts'

/** What is put into a tag or compared with one: numbers and booleans are taken as text. */
export const tagValue = scalar(
  (value) => {
    if (typeof value === 'string' || typeof value === 'number' || typeof value === 'boolean') return String(value)
    throw new Wrong(`expected text, got ${shown(value)}`)
  },
  { type: ['string', 'number', 'boolean'] },
)

const names = z.array(name())

const field = z
  .strictObject({
    type: z
      .enum(['number', 'integer', 'text', 'boolean'])
      .describe('What the field must be; a text that holds a number is taken as number.'),
    unit: name({ example: '°C' }).exactOptional().describe('Shown to people, not converted.'),
    min: z.number().exactOptional().describe('Smallest value that is accepted.'),
    max: z.number().exactOptional().describe('Largest value that is accepted.'),
    required: flag().exactOptional().describe('Refuse readings without it.'),
  })
  .superRefine((value, context) => {
    if (value.min === undefined || value.max === undefined || value.min <= value.max) return
    context.addIssue({ code: 'custom', message: `min ${value.min} is above max ${value.max}`, path: ['min'] })
  })

const lookup = z.strictObject({
  table: name({ example: 'places' }).describe('Name of a table under `lookups`.'),
  by: name({ example: 'postcode' }).describe('The tag or text field, or `device`, whose value is the key of the row.'),
  add: names
    .min(1, 'name at least one column to add')
    .describe('Columns that become tags.')
    .meta({ example: ['latitude', 'longitude'] }),
})

const rule = z
  .strictObject({
    topic: text(checkPattern, { example: 'telemetry/{device}' }).describe(
      'Levels of the topic: text, `{name}` or `+`; `[/{name}]` at the end may be absent. `{device}` and `{stream}` are what they say, other names become tags.',
    ),
    codec: z
      .enum(['auto', 'json', 'senml', 'cbor', 'csv', 'text'])
      .prefault('auto')
      .describe('How the payload is written; `auto` goes by content type, then by the first bytes.'),
    device: name({ example: 'serial' })
      .exactOptional()
      .describe('Field or column that names the device, instead of the topic.'),
    time: name({ example: 'event_time' })
      .exactOptional()
      .describe('Field that holds the event time; without it, or when it is absent, the time of arrival counts.'),
    timeUnit: z
      .enum(['auto', 's', 'ms', 'us', 'iso'])
      .prefault('auto')
      .describe('How the event time is written; `auto` tells by form and size.'),
    future: duration({}, { example: '1h' })
      .prefault('1h')
      .describe("How far ahead of the gateway's clock a time may be before the message is refused."),
    columns: z
      .array(scalar(columnName, { type: 'string' }))
      .exactOptional()
      .describe('CSV: names of the columns in order; `-` skips one.')
      .meta({ example: ['serial', '-', 'kwh', 'time'] }),
    header: flag().exactOptional().describe('CSV: the first line of each message holds the names.'),
    delimiter: text(
      (value) => (value.length === 1 ? undefined : 'a delimiter is one character, such as "," or "\\t"'),
      { example: ';' },
    )
      .exactOptional()
      .describe('CSV: what stands between cells, by default a comma.'),
    fields: z
      .record(z.string(), field)
      .exactOptional()
      .describe('What is known of fields, by name; fields inside objects are dotted paths.')
      .meta({ example: { cpu: { type: 'number', unit: '%', min: 0, max: 100 } } }),
    unknown: z
      .enum(['accept', 'refuse', 'ignore'])
      .prefault('accept')
      .describe('What becomes of fields that are not declared.'),
    exclude: names
      .exactOptional()
      .describe('Fields that are left out, with all that is inside them.')
      .meta({ example: ['meta', 'debug'] }),
    text: names
      .exactOptional()
      .describe('Fields that are text although they look like numbers.')
      .meta({ example: ['postcode'] }),
    tags: names
      .exactOptional()
      .describe('Fields that become tags.')
      .meta({ example: ['model', 'state'] }),
    set: z
      .record(z.string(), tagValue)
      .exactOptional()
      .describe('Constant tags.')
      .meta({ example: { site: 'north' } }),
    lookup: z
      .array(lookup)
      .exactOptional()
      .describe('Tags from tables.')
      .meta({ example: [{ table: 'places', by: 'postcode', add: ['latitude'] }] }),
    deviceType: name({ example: 'type' })
      .exactOptional()
      .describe('The tag that tells device types apart where inferred field types are shown.'),
  })
  .superRefine((value, context) => {
    for (const { path, message } of contradictions(value)) context.addIssue({ code: 'custom', path, message })
  })
  .transform(({ device, text: forced, fields, ...rest }): DecodeRule => {
    const declared = { ...Object.fromEntries((forced ?? []).map((key) => [key, { type: 'text' as const }])), ...fields }
    return {
      ...rest,
      ...(device === undefined ? {} : { deviceField: device }),
      ...(Object.keys(declared).length > 0 ? { fields: declared } : {}),
    }
  })

export const decodeSection = z
  .array(rule)
  .prefault([{ topic: 'telemetry/{device}' }, { topic: 'telemetry/{device}/{stream}' }])
  .describe(
    'How messages become readings. The first rule whose topic matches wins; topics that match none are ordinary broker traffic. A list given here replaces the default.',
  )
  .meta({ example: [{ topic: 'telemetry/{device}', time: 'event_time' }] })

export const lookupsSection = z
  .record(
    z.string(),
    z.strictObject({
      file: name({ example: 'postcodes.csv' }).describe(
        'CSV file with a header line, or JSON file; loaded again when it changes.',
      ),
      key: name({ example: 'postcode' }).exactOptional().describe('Column of the key, by default the first one.'),
      format: z.enum(['csv', 'json']).exactOptional().describe("By default told by the file's name."),
      delimiter: text((value) => (value.length === 1 ? undefined : 'a delimiter is one character'), { example: ';' })
        .exactOptional()
        .describe('CSV: what stands between cells, by default a comma.'),
    }),
  )
  .prefault({})
  .describe('Tables that add tags to readings by a key, by name; decode rules use them.')
  .meta({ example: { places: { file: 'postcodes.csv', key: 'postcode' } } })

interface RuleKeys {
  readonly topic: string
  readonly codec: string
  readonly device?: string
  readonly time?: string
  readonly columns?: readonly string[]
  readonly header?: boolean
  readonly delimiter?: string
  readonly exclude?: readonly string[]
  readonly text?: readonly string[]
  readonly fields?: Readonly<Record<string, { readonly type: string }>>
}

function* contradictions(rule: RuleKeys): Generator<{ path: (string | number)[]; message: string }> {
  if (rule.device === undefined && !compilePattern(rule.topic).hasDevice) {
    yield {
      path: ['topic'],
      message: `\`${rule.topic}\` names no device: write {device} for its level, or \`device: FIELD\` when the payload holds it`,
    }
  }
  if (rule.codec === 'csv' && rule.columns === undefined && rule.header !== true) {
    yield {
      path: ['codec'],
      message: '`codec: csv` needs `columns: [NAMES]`, or `header: true` when each message begins with them',
    }
  }
  for (const key of ['columns', 'header', 'delimiter'] as const) {
    if (rule[key] === undefined || rule.codec === 'csv' || rule.codec === 'auto') continue
    yield { path: [key], message: `\`${key}\` is for CSV, but the codec is ${rule.codec}` }
  }
  for (const [i, excluded] of (rule.exclude ?? []).entries()) {
    if (excluded !== rule.time && excluded !== rule.device) continue
    yield {
      path: ['exclude', i],
      message: `\`${excluded}\` is the ${excluded === rule.time ? 'time' : 'device'}, which is no field anyway: leave it out of \`exclude\``,
    }
  }
  for (const [i, forced] of (rule.text ?? []).entries()) {
    const type = rule.fields?.[forced]?.type
    if (type === undefined || type === 'text') continue
    yield { path: ['text', i], message: `\`${forced}\` stands under \`text\`, but \`fields\` says it is ${type}` }
  }
}

function checkPattern(pattern: string): string | undefined {
  try {
    compilePattern(pattern)
    return undefined
  } catch (error) {
    return reasonOf(error)
  }
}

/** The decoder reads over columns without a name. */
function columnName(value: unknown): string {
  if (typeof value !== 'string') throw new Wrong(`expected the name of a column, got ${shown(value)}`)
  return value === '-' || value === '_' ? '' : value
}
