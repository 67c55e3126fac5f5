/** From what a person writes to conditions and effects. */
import { parseDuration } from '../config/duration.ts'
import { shown, Wrong } from '../config/scalar.ts'
import { suggestion } from '../config/suggest.ts'
import type { Condition, Effect, Value } from './definition.ts'

type Path = (string | number)[]
type Mapping = Readonly<Record<string, unknown>>

const COMBINED = ['and', 'or', 'not']
const COMPARED = ['above', 'below', 'between', 'outside', 'equals', 'oneOf', 'changes', 'rate', 'absent']
const DEEPEST = 32

/** @throws Wrong */
export function parseCondition(value: unknown, path: Path = []): Condition {
  if (path.length > 2 * DEEPEST) throw new Wrong('the condition is nested too deeply', path)
  const mapping = mappingAt(value, path, 'a condition such as `{ field: temperature, above: 30 }`')
  const combined = COMBINED.filter((key) => Object.hasOwn(mapping, key))
  if (combined.length === 0) return parseLeaf(mapping, path)
  if (combined.length > 1 || Object.keys(mapping).length > 1)
    throw new Wrong('`and`, `or` and `not` stand alone: put one into the other', path)
  if ('not' in mapping) return { not: parseCondition(mapping.not, [...path, 'not']) }
  const key = combined[0] === 'and' ? 'and' : 'or'
  const parts = mapping[key]
  if (!Array.isArray(parts) || parts.length === 0)
    throw new Wrong(`\`${key}\` needs a list of conditions`, [...path, key])
  const conditions = parts.map((part, i) => parseCondition(part, [...path, key, i]))
  return key === 'and' ? { and: conditions } : { or: conditions }
}

function parseLeaf(mapping: Mapping, path: Path): Condition {
  onlyKeys(mapping, ['field', 'hysteresis', ...COMPARED], path)
  const compared = COMPARED.filter((key) => Object.hasOwn(mapping, key))
  const range = compared.every((key) => key === 'above' || key === 'below')
  if (compared.length === 0)
    throw new Wrong(`a condition compares: add one of ${COMPARED.join(', ')}; or combine with and, or, not`, path)
  if (compared.length > 1 && !range)
    throw new Wrong(`a condition has one of ${compared.join(', ')}: combine with and`, path)
  const field = mapping.field === undefined ? undefined : textAt(mapping.field, [...path, 'field'])
  if ('absent' in mapping) {
    const absent = durationAt(mapping.absent, [...path, 'absent'])
    return field === undefined ? { absent } : { absent, field }
  }
  if (field === undefined) throw new Wrong('a condition names its `field`', path)
  if ('equals' in mapping) return { field, equals: scalarAt(mapping.equals, [...path, 'equals']) }
  if ('oneOf' in mapping) return { field, oneOf: listAt(mapping.oneOf, [...path, 'oneOf'], scalarAt) }
  if ('changes' in mapping) return { field, changes: changesAt(mapping.changes, [...path, 'changes']) }
  if ('rate' in mapping) return { field, rate: rateAt(mapping.rate, [...path, 'rate']) }
  const hysteresis =
    mapping.hysteresis === undefined ? {} : { hysteresis: numberAt(mapping.hysteresis, [...path, 'hysteresis'], 0) }
  if ('between' in mapping) return { field, between: pairAt(mapping.between, [...path, 'between']), ...hysteresis }
  if ('outside' in mapping) return { field, outside: pairAt(mapping.outside, [...path, 'outside']), ...hysteresis }
  return { field, ...bounds(mapping, path), ...hysteresis }
}

/** One effect or a list of them. @throws Wrong */
export function parseEffects(value: unknown, mayAlert: boolean): readonly Effect[] {
  if (!Array.isArray(value)) return [parseEffect(value, [], mayAlert)]
  return value.map((one, i) => parseEffect(one, [i], mayAlert))
}

function parseEffect(value: unknown, path: Path, mayAlert: boolean): Effect {
  if (value === 'alert' && mayAlert) return { alert: true }
  const known = mayAlert ? ['alert', 'command', 'publish'] : ['command', 'publish']
  const mapping = mappingAt(
    value,
    path,
    `an effect: ${mayAlert ? '`alert`, ' : ''}\`command: {…}\` or \`publish: {…}\``,
  )
  onlyKeys(mapping, known, path)
  const keys = Object.keys(mapping)
  if (keys.length !== 1) throw new Wrong(`an effect is one of ${known.join(', ')}`, path)
  if ('alert' in mapping) {
    if (mapping.alert === true) return { alert: true }
    throw new Wrong('write `alert`, or `alert: true`', [...path, 'alert'])
  }
  if ('command' in mapping) return { command: commandAt(mapping.command, [...path, 'command']) }
  return { publish: publishAt(mapping.publish, [...path, 'publish']) }
}

type CommandEffect = Extract<Effect, { command: unknown }>['command']

function commandAt(value: unknown, path: Path): CommandEffect {
  const mapping = mappingAt(value, path, 'a command such as `{ device: fan, command: on }`')
  onlyKeys(mapping, ['device', 'command', 'args', 'deadline', 'ifOffline', 'onlyIf'], path)
  const { args, deadline, ifOffline, onlyIf } = mapping
  if (deadline !== undefined) durationAt(deadline, [...path, 'deadline'])
  if (ifOffline !== undefined && ifOffline !== 'wait' && ifOffline !== 'fail')
    throw new Wrong('`ifOffline` is wait or fail', [...path, 'ifOffline'])
  return {
    device: textAt(mapping.device, [...path, 'device']),
    command: textAt(mapping.command, [...path, 'command']),
    ...(args === undefined ? {} : { args }),
    ...(deadline === undefined ? {} : { deadline: String(deadline) }),
    ...(ifOffline === 'wait' || ifOffline === 'fail' ? { ifOffline } : {}),
    ...(onlyIf === undefined ? {} : { onlyIf: preconditionAt(onlyIf, [...path, 'onlyIf']) }),
  }
}

function preconditionAt(value: unknown, path: Path) {
  const mapping = mappingAt(value, path, 'a condition such as `{ field: state, equals: idle }`')
  onlyKeys(mapping, ['field', 'equals', 'above', 'below'], path)
  const equals = mapping.equals === undefined ? {} : { equals: scalarAt(mapping.equals, [...path, 'equals']) }
  return { field: textAt(mapping.field, [...path, 'field']), ...equals, ...bounds(mapping, path) }
}

function publishAt(value: unknown, path: Path) {
  const mapping = mappingAt(value, path, 'a publication such as `{ topic: "alarms/{device}" }`')
  onlyKeys(mapping, ['topic', 'payload', 'retain'], path)
  const { payload, retain = false } = mapping
  const topic = textAt(mapping.topic, [...path, 'topic'])
  if (/[+#]/.test(topic)) throw new Wrong('a topic to publish on has no + and no #', [...path, 'topic'])
  if (typeof retain !== 'boolean') throw new Wrong('`retain` is true or false', [...path, 'retain'])
  return { topic, retain, ...(payload === undefined ? {} : { payload }) }
}

function rateAt(value: unknown, path: Path) {
  const mapping = mappingAt(value, path, 'a rate such as `{ above: 5, per: 1m }`')
  onlyKeys(mapping, ['above', 'below', 'per'], path)
  if (mapping.above === undefined && mapping.below === undefined) throw new Wrong('a rate is `above` or `below`', path)
  const per = mapping.per === undefined ? 1000 : durationAt(mapping.per, [...path, 'per'])
  return { ...bounds(mapping, path), per }
}

function changesAt(value: unknown, path: Path) {
  if (value === true) return true
  const mapping = mappingAt(value, path, 'true, or `{ from: idle, to: running }`')
  onlyKeys(mapping, ['from', 'to'], path)
  const { from, to } = mapping
  return {
    ...(from === undefined ? {} : { from: scalarAt(from, [...path, 'from']) }),
    ...(to === undefined ? {} : { to: scalarAt(to, [...path, 'to']) }),
  }
}

function bounds({ above, below }: Mapping, path: Path) {
  return {
    ...(above === undefined ? {} : { above: numberAt(above, [...path, 'above']) }),
    ...(below === undefined ? {} : { below: numberAt(below, [...path, 'below']) }),
  }
}

function onlyKeys(mapping: Mapping, known: readonly string[], path: Path): void {
  const unknown = Object.keys(mapping).find((key) => !known.includes(key))
  if (unknown !== undefined)
    throw new Wrong(`unknown key \`${unknown}\`${suggestion(unknown, known)}`, [...path, unknown])
}

function mappingAt(value: unknown, path: Path, wanted: string): Mapping {
  if (typeof value === 'object' && value !== null && !Array.isArray(value)) return value as Mapping
  throw new Wrong(`expected ${wanted}, got ${shown(value)}`, path)
}

function textAt(value: unknown, path: Path): string {
  if (typeof value === 'string' && value !== '') return value
  if (value === undefined) throw new Wrong(`\`${path.at(-1)}\` is missing`, path.slice(0, -1))
  throw new Wrong(`expected text, got ${shown(value)}`, path)
}

function numberAt(value: unknown, path: Path, min = Number.NEGATIVE_INFINITY): number {
  if (typeof value !== 'number' || !Number.isFinite(value))
    throw new Wrong(`expected a number, got ${shown(value)}`, path)
  if (value < min) throw new Wrong(`${value} is too small: at least ${min}`, path)
  return value
}

function scalarAt(value: unknown, path: Path): Value {
  if (typeof value === 'string' || typeof value === 'number' || typeof value === 'boolean') return value
  throw new Wrong(`expected text, a number, true or false, got ${shown(value)}`, path)
}

function listAt<T>(value: unknown, path: Path, each: (one: unknown, path: Path) => T): T[] {
  if (!Array.isArray(value) || value.length === 0) throw new Wrong('expected a list', path)
  return value.map((one, i) => each(one, [...path, i]))
}

function pairAt(value: unknown, path: Path): readonly [number, number] {
  if (!Array.isArray(value) || value.length !== 2) throw new Wrong('expected two numbers, such as [10, 20]', path)
  const [a, b] = [numberAt(value[0], [...path, 0]), numberAt(value[1], [...path, 1])]
  if (a > b) throw new Wrong(`${a} is more than ${b}: the smaller one stands first`, path)
  return [a, b]
}

function durationAt(value: unknown, path: Path): number {
  try {
    const ms = parseDuration(value)
    if (ms < 1) throw new Wrong('it must be longer than nothing')
    return ms
  } catch (error) {
    throw error instanceof Wrong ? new Wrong(error.message, path) : error
  }
}
