import { z } from 'zod'
import { isTopicName } from '../../broker/topics.ts'
import type { WindowDefinition, WindowKind } from '../../window/definition.ts'
import { DEFAULT_STATISTICS, isStatistic } from '../../window/statistics.ts'
import { duration, formatDuration } from '../duration.ts'
import { exactlyOne, flag, name, named, ON_MAPPINGS, oneOf, placeholders, whole } from '../entry.ts'
import { text } from '../scalar.ts'
import { tagValue } from './decode.ts'

/** A window definition without its name, and where each result is also published. */
export type WindowConfig = Omit<WindowDefinition, 'name'> & {
  /** Topic template of the local broker, with `{key}` parts. */
  readonly publish?: string
}

const STATISTICS = [
  ...DEFAULT_STATISTICS,
  'stddev_samp',
  'first',
  'last',
  'rate',
  'distinct',
  'sketch',
  'p50',
  'p90',
  'p99',
  'p99.9',
]
const KINDS = ['tumbling', 'hopping', 'session']
const LONGEST = 366 * 86_400_000

const length = (example: string) => duration({ min: 1, max: LONGEST }, { example })

const hopping = z
  .strictObject({
    size: length('45s').describe('Length of a window.'),
    slide: length('15s').describe('How far one window starts after the one before; the size is a multiple of it.'),
  })
  .superRefine(({ size, slide }, context) => {
    if (size % slide === 0) return
    const message = `size ${formatDuration(size)} is not a multiple of slide ${formatDuration(slide)}: ${nearestSizes(size, slide)}`
    context.addIssue({ code: 'custom', message, path: ['size'] })
  })

const window = z
  .strictObject({
    tumbling: length('10s').exactOptional().describe('Windows of this length, one after the other.'),
    hopping: hopping
      .exactOptional()
      .describe('Windows that overlap (sliding windows).')
      .meta({ example: { size: '45s', slide: '15s' } }),
    session: length('30s').exactOptional().describe('Windows that end after this long without a reading.'),
    by: z
      .array(name())
      .prefault(['device'])
      .describe('What each result is for: `device`, `stream`, tags, text fields; `[]` for the whole fleet.'),
    delay: duration({}, { example: '2s' })
      .prefault('0s')
      .describe('How far a reading may lag behind and still be on time.'),
    idle: duration({ min: 100 }, { example: '1m' })
      .prefault('1m')
      .describe('Silence after which windows close without further readings.'),
    time: z
      .enum(['event', 'processing'])
      .prefault('event')
      .describe("Whether a reading's own time counts, or that of its arrival."),
    fields: z.array(name()).exactOptional().describe('Only these fields; by default all.'),
    exclude: z.array(name()).prefault([]).describe('Fields that are left out.'),
    statistics: z
      .array(oneOf('statistic', STATISTICS, isStatistic, { example: 'mean' }))
      .min(1, 'name at least one statistic, or leave the key out for the default ones')
      .prefault([...DEFAULT_STATISTICS])
      .describe(
        `Statistics of number fields: ${STATISTICS.slice(0, -4).join(', ')}, and quantiles such as p50, p99 or p99.9.`,
      ),
    textValues: whole(1, 100_000, { example: 100 })
      .prefault(100)
      .describe('Distinct values counted per text field; further ones are counted together.'),
    maxKeys: whole(1, 10_000_000, { example: 100_000 }).prefault(100_000).describe('Keys at a time.'),
    whenFull: z
      .enum(['evict_oldest', 'refuse'])
      .prefault('evict_oldest')
      .describe(
        'What happens at `maxKeys`: the key that was quiet longest is closed early, or new keys are refused. Either is counted.',
      ),
    late: z
      .enum(['correct', 'drop'])
      .prefault('correct')
      .describe('Whether a late reading corrects the result it belongs to.'),
    retain: duration({ max: LONGEST }, { example: '1m' })
      .prefault('10s')
      .describe('How long after its closing a window can be corrected.'),
    attach: flag().prefault(false).describe('Put the latest result of the same key on each raw reading.'),
    attachType: name({ example: 'type' })
      .exactOptional()
      .describe('A tag: also put the latest result with the same value of this tag on each raw reading.'),
    publish: text(checkTemplate, { example: 'stats/{device}' })
      .exactOptional()
      .describe(
        'Topic of the local broker on which each result is published too; `{name}` of a key, `{window}` and `{gateway}` are filled in.',
      ),
    where: z
      .record(z.string(), tagValue)
      .exactOptional()
      .describe('Only readings whose tags or text fields have these values.')
      .meta({ example: { state: 'NSW' } }),
  })
  .superRefine(
    exactlyOne(KINDS, {
      none: 'a window needs one of `tumbling: 10s`, `hopping: { size: 45s, slide: 15s }` or `session: 30s`',
      many: (found) => `a window is of one kind only, but has ${found}: keep one`,
    }),
    ON_MAPPINGS,
  )
  .superRefine((value, context) => {
    if (!('publish' in value) || typeof value.publish !== 'string' || !Array.isArray(value.by)) return
    const known = [...value.by.map(String), 'window', 'gateway']
    const unknown = placeholders(value.publish).find((part) => !known.includes(part))
    if (unknown === undefined) return
    const message = `{${unknown}} in \`${value.publish}\` is not part of the key: use ${known.map((part) => `{${part}}`).join(', ')}, or add it to \`by\``
    context.addIssue({ code: 'custom', message, path: ['publish'] })
  }, ON_MAPPINGS)
  .superRefine((value, context) => {
    if (value.attachType === undefined || value.attach) return
    context.addIssue({
      code: 'custom',
      message: '`attachType` needs `attach: true`',
      path: ['attachType'],
      params: { at: 'key' },
    })
  })
  .transform(
    ({ tumbling, hopping: hops, session, ...rest }): WindowConfig => ({
      ...rest,
      kind: kindOf(tumbling, hops, session),
    }),
  )
  .meta({ oneOf: KINDS.map((kind) => ({ type: 'object', properties: { [kind]: {} }, required: [kind] })) })

export const windowsSection = named('window', window)
  .prefault({ 'per-device': { tumbling: '10s', by: ['device'], delay: '2s' } })
  .describe(
    'Windows by name: each closes with one record of statistics per key. A mapping given here replaces the default.',
  )
  .meta({ example: { 'per-device': { tumbling: '10s', by: ['device'], delay: '2s' } } })

function kindOf(
  tumbling: number | undefined,
  hops: { size: number; slide: number } | undefined,
  session: number | undefined,
): WindowKind {
  if (tumbling !== undefined) return { tumbling }
  if (hops !== undefined) return { hopping: hops }
  return { session: session ?? 0 }
}

function nearestSizes(size: number, slide: number): string {
  const below = Math.floor(size / slide) * slide
  const above = below + slide
  const choices = (below === 0 ? [above] : [below, above]).map(formatDuration).join(' or ')
  return `make it ${choices}`
}

function checkTemplate(template: string): string | undefined {
  const plain = template.replace(/\{[^{}]+\}/g, 'x')
  if (/[{}]/.test(plain)) return `\`${template}\` has a brace too many or too few`
  if (!isTopicName(plain)) return `\`${template}\` is not a topic to publish on: no + or #, not empty`
  return undefined
}
