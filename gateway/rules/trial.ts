/** Runs the `tests` of a rule with a clock of their own, and says how what happened differs from what was expected. */

import type { CommandOrder } from '../commands/command.ts'
import { formatDuration } from '../config/duration.ts'
import type { RuleConfig, RuleTest } from '../config/sections/rules.ts'
import { createDevices, type Devices } from '../decode/devices.ts'
import { reasonOf } from '../errors.ts'
import { BOOLEAN, createReading, createShapes, NUMBER, type Reading, type Shape, TEXT } from '../reading.ts'
import type { AlertRecord, WindowRecord } from '../record.ts'
import { definitionsOf } from './definition.ts'
import { READINGS } from './group.ts'
import { RuleStage } from './stage.ts'

/** One alert or command; `at` is ms after the test's begin. */
interface Happened {
  readonly at: number
  readonly alert?: string
  readonly key?: Readonly<Record<string, string>>
  readonly device?: string
  readonly command?: string
  readonly args?: unknown
}

const BEGIN = Date.UTC(2026, 0, 1)
/** How often the virtual clock ticks, ms. */
const TICK = 1000
const MOST_TICKS = 1_000_000

/** @returns one text per test that failed, of several lines */
export function tryRules(rules: Readonly<Record<string, RuleConfig>>): string[] {
  return Object.entries(rules).flatMap(([name, rule]) =>
    rule.tests.flatMap((test, i) => {
      const title = `rule ${name}, test ${i + 1}${test.name === undefined ? '' : ` (${test.name})`}`
      try {
        const difference = compare(test, run(name, rule, test))
        return difference === undefined ? [] : [`${title}:\n${difference}`]
      } catch (error) {
        return [`${title}: ${reasonOf(error)}`]
      }
    }),
  )
}

function run(name: string, rule: RuleConfig, test: RuleTest): Happened[] {
  const happened: Happened[] = []
  const devices = createDevices()
  let now = 0
  const stage = new RuleStage({
    devices,
    order: (_, { device, command, args }: CommandOrder) => happened.push({ at: now, device, command, args }),
    publish: () => undefined,
  })
  stage.attach({
    append: (_, { state, key }: AlertRecord) => happened.push({ at: now, alert: state, key }),
  })
  for (const fact of stage.starting(definitionsOf({ [name]: rule }), BEGIN)) stage.fact('rules', fact, 0, true)
  const shapes = createShapes()
  const tickTo = (at: number) => {
    if ((at - now) / TICK > MOST_TICKS) throw new RangeError('the test lasts too long')
    while (now + TICK <= at) {
      now += TICK
      const fact = stage.due(BEGIN + now, now)
      if (fact) stage.fact('rules', fact, 0, true)
    }
    now = at
    const fact = stage.due(BEGIN + now, now)
    if (fact) stage.fact('rules', fact, 0, true)
  }
  const inputs = [...test.given].sort((a, b) => a.at - b.at)
  for (const input of inputs) {
    tickTo(input.at)
    if (rule.on === READINGS) stage.reading(readingOf(input, now, devices, shapes), 0, true)
    else {
      stage.fact('rules', { type: 'tick', now: BEGIN + now }, 0, true)
      stage.result(resultOf(rule.on, input, now), undefined, 0, true)
    }
  }
  tickTo(Math.max(now, test.until ?? now))
  return happened
}

type Input = RuleTest['given'][number]

function readingOf(input: Input, now: number, devices: Devices, shapes: Shape): Reading {
  const names = Object.entries(input.fields)
  const shape = names.reduce((before, [field, value]) => before.with(field, kindOf(value)), shapes)
  const reading = createReading(devices.get(input.device ?? 'device'), shape)
  Object.assign(reading, {
    source: 'test',
    stream: input.stream,
    tags: input.tags,
    time: BEGIN + now,
    received: BEGIN + now,
  })
  names.forEach(([, value], i) => {
    if (typeof value === 'string') reading.texts[i] = value
    else reading.numbers[i] = Number(value)
  })
  return reading
}

function kindOf(value: unknown) {
  if (typeof value === 'number') return NUMBER
  if (typeof value === 'boolean') return BOOLEAN
  if (typeof value === 'string') return TEXT
  throw new TypeError('a field is a number, text, true or false')
}

function resultOf(window: string, { device, key, fields }: Input, now: number): WindowRecord {
  const end = new Date(BEGIN + now).toISOString()
  const given = key ?? { device: device ?? 'device' }
  return { kind: 'window', window, key: given, start: end, end, count: 1, fields: fields as WindowRecord['fields'] }
}

/** Undefined when all is as expected. */
function compare({ expect }: RuleTest, happened: readonly Happened[]): string | undefined {
  const lines: string[] = []
  let differs = false
  for (let i = 0; i < Math.max(expect.length, happened.length); i++) {
    const wanted = expect[i]
    const found = happened[i]
    if (wanted && found && agrees(wanted, found)) {
      lines.push(`    ${line(found)}`)
      continue
    }
    differs = true
    if (wanted) lines.push(`  - ${line(wanted)}`)
    if (found) lines.push(`  + ${line(found)}`)
  }
  return differs ? ['  - expected, + happened', ...lines].join('\n') : undefined
}

function agrees(wanted: RuleTest['expect'][number], found: Happened): boolean {
  const { at, alert, device, key, command, args } = wanted
  if (at !== undefined && at !== found.at) return false
  if (alert !== found.alert || command !== found.command) return false
  if (device !== undefined && device !== (found.device ?? found.key?.device)) return false
  if (key !== undefined && JSON.stringify(key) !== JSON.stringify(found.key)) return false
  return args === undefined || JSON.stringify(args) === JSON.stringify(found.args)
}

function line({ at, alert, device, key, command, args }: RuleTest['expect'][number]): string {
  const parts = [
    at === undefined ? '' : formatDuration(at),
    alert === undefined ? `command ${command}` : `alert ${alert}`,
  ]
  if (device !== undefined) parts.push(`device ${device}`)
  if (key !== undefined) parts.push(...Object.entries(key).map(([part, text]) => `${part} ${text}`))
  if (args !== undefined) parts.push(JSON.stringify(args))
  return parts.join(' ').trim()
}
