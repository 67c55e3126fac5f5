/**
 * What types the fields of each device type have, learned from the readings: shown to people, and a field that comes
 * with another type than before is counted and reported, but accepted.
 *
 * A reading costs one comparison: a route remembers the shape of its last reading (and its tags, when one of them is the
 * device type), and only what differs is looked at. Names are kept up to a bound, beyond it nothing is learned.
 */
import { BOOLEAN, type Kind, NUMBER, type Reading, type Shape, TEXT } from '../reading.ts'
import type { Changes, FieldInfo, Known } from './field-types.ts'
import type { Route } from './route.ts'

export interface Inference {
  /** Called for every reading. */
  see(route: Route, reading: Reading): void
  fieldTypes(): FieldInfo[]
}

interface TypeEntry {
  readonly fields: Map<string, Known>
  readonly shapes: WeakMap<Shape, Changes>
}

const NAMES = ['number', 'text', 'boolean'] as const
const EXAMPLE = 100
const NO_CHANGES: Changes = []

/** @param report called when a field changes its type for the first time */
export function createInference(report: (info: FieldInfo) => void = () => {}, limit = 20_000): Inference {
  const types = new Map<string, TypeEntry>()
  let left = limit

  function entryOf(deviceType: string): TypeEntry | undefined {
    const known = types.get(deviceType)
    if (known || left <= 0) return known
    left--
    const entry: TypeEntry = { fields: new Map(), shapes: new WeakMap() }
    types.set(deviceType, entry)
    return entry
  }

  function learn(entry: TypeEntry, deviceType: string, route: Route, shape: Shape): Changes {
    const changes: { at: number; known: Known }[] = []
    for (const [at, field] of shape.names.entries()) {
      const kind = shape.kinds[at] as Kind
      const known = entry.fields.get(field)
      if (known) {
        if (known.kind !== kind) changes.push({ at, known })
      } else if (left > 0) {
        left--
        const { kind: fixed } = route.rule.planOf(field)
        const unit = unitOf(route, field)
        entry.fields.set(field, { deviceType, field, kind, unit, declared: fixed !== undefined, changed: undefined })
      }
    }
    return changes.length === 0 ? NO_CHANGES : changes
  }

  function note(changes: Changes, reading: Reading): void {
    for (const { at, known } of changes) {
      const first = known.changed === undefined
      const count = (known.changed?.count ?? 0) + 1
      const type = NAMES[reading.shape.kinds[at] as Kind]
      known.changed = { count, type, example: exampleOf(reading, at), device: reading.device.id, time: reading.time }
      if (first) report(infoOf(known))
    }
  }

  return {
    see(route, reading) {
      const { seen } = route
      const byTag = route.rule.options.deviceType !== undefined
      if (seen.shape !== reading.shape || (byTag && seen.tags !== reading.tags)) {
        seen.shape = reading.shape
        seen.tags = reading.tags
        const deviceType = typeOf(route, reading)
        const entry = entryOf(deviceType)
        let changes = entry?.shapes.get(reading.shape)
        if (entry && !changes) {
          changes = learn(entry, deviceType, route, reading.shape)
          entry.shapes.set(reading.shape, changes)
        }
        seen.changes = changes === undefined || changes.length === 0 ? null : changes
      }
      if (seen.changes !== null) note(seen.changes, reading)
    },
    fieldTypes: () => [...types.values()].flatMap((entry) => [...entry.fields.values()].map(infoOf)),
  }
}

function typeOf(route: Route, reading: Reading): string {
  const tag = route.rule.options.deviceType
  const value = tag !== undefined && Object.hasOwn(reading.tags, tag) ? reading.tags[tag] : undefined
  return value ?? route.rule.pattern.text
}

function unitOf(route: Route, field: string): string | undefined {
  const fields = route.rule.options.fields
  return fields && Object.hasOwn(fields, field) ? fields[field]?.unit : undefined
}

function exampleOf(reading: Reading, at: number): string {
  const kind = reading.shape.kinds[at]
  const number = reading.numbers[at] as number
  if (kind === NUMBER) return String(number)
  if (kind === BOOLEAN) return String(number === 1)
  return (reading.texts[at] as string).slice(0, EXAMPLE)
}

function infoOf(known: Known): FieldInfo {
  const { deviceType, field, kind, unit, declared, changed } = known
  const type = kind === TEXT ? 'text' : NAMES[kind]
  return { deviceType, field, type, declared, ...(unit === undefined ? {} : { unit }), ...(changed ? { changed } : {}) }
}
