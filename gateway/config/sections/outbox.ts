import { z } from 'zod'
import { DEFAULT_RESERVE, type PerClass, WHEN_FULL, type WhenFull } from '../../outbox/budget.ts'
import { CLASSES } from '../../record.ts'
import { bytes } from '../bytes.ts'
import { duration } from '../duration.ts'
import { scalar, shown, Wrong } from '../scalar.ts'
import { suggestion } from '../suggest.ts'

const POLICY = { type: 'string', enum: WHEN_FULL } as const

const whenFull = scalar(perClass, {
  anyOf: [
    POLICY,
    { type: 'object', properties: Object.fromEntries(CLASSES.map((c) => [c, POLICY])), additionalProperties: false },
  ],
  example: { event: 'block', reading: 'drop_newest' },
})

const share = z.number().min(0, 'a share is between 0 and 1').max(1, 'a share is between 0 and 1')

const reserve = z
  .strictObject({
    event: share.prefault(DEFAULT_RESERVE.event).describe('Share of alerts, command states and gaps.'),
    result: share.prefault(DEFAULT_RESERVE.result).describe('Share of window results.'),
    reading: share.prefault(DEFAULT_RESERVE.reading).describe('Share of raw readings.'),
  })
  .superRefine(({ event, result, reading }, context) => {
    const sum = event + result + reading
    if (sum <= 1 + 1e-9) return
    context.addIssue({ code: 'custom', message: `the shares add up to ${Math.round(sum * 1000) / 1000}: at most 1` })
  })
  .prefault({})

export const outboxSection = z
  .strictObject({
    maxBytes: bytes({ min: 1_000_000 }, { example: '1GB' })
      .prefault('1GB')
      .describe('Disk that may be used for what waits to go upstream.'),
    whenFull: whenFull
      .prefault('drop_oldest')
      .describe(
        'What happens then: `drop_oldest`, `drop_newest` or `block` (stop taking messages); one for all or one per class (`event`, `result`, `reading`). What is dropped leaves a gap record.',
      ),
    reserve: reserve.describe('Share of the budget that a class has for itself.'),
    maxAge: duration({ min: 1000 }, { example: '7d' })
      .exactOptional()
      .describe('Records older than this are dropped, with a gap record.'),
    retry: z
      .strictObject({
        max: duration({ min: 100, max: 15_000 }, { example: '15s' })
          .prefault('15s')
          .describe('Longest pause between two attempts.'),
      })
      .prefault({})
      .describe('How sending is tried again.'),
  })
  .prefault({})
  .describe('What waits to go upstream.')

function perClass(value: unknown): PerClass<WhenFull> {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    const one = policy(value)
    return { event: one, result: one, reading: one }
  }
  const given: Partial<Record<string, WhenFull>> = {}
  for (const [name, text] of Object.entries(value)) {
    if (!CLASSES.some((c) => c === name))
      throw new Wrong(`unknown class \`${name}\`${suggestion(name, CLASSES)}`, [name])
    given[name] = policy(text, [name])
  }
  const { event = 'drop_oldest', result = 'drop_oldest', reading = 'drop_oldest' } = given
  return { event, result, reading }
}

function policy(value: unknown, path: string[] = []): WhenFull {
  const found = WHEN_FULL.find((known) => known === value)
  if (found !== undefined) return found
  const meant = typeof value === 'string' ? suggestion(value, WHEN_FULL) : `: one of ${WHEN_FULL.join(', ')}`
  throw new Wrong(`${typeof value === 'string' ? `\`${value}\`` : shown(value)} is not a policy${meant}`, path)
}
