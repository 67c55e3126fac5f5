import { DecodeError } from '../errors.ts'
import { NO_TAGS, NUMBER, type Reading, type Shape, type Tags, TEXT } from '../reading.ts'
import type { Devices } from './devices.ts'
import type { Route } from './route.ts'
import type { LookupTable } from './tables.ts'
import type { TagNode } from './tag-tree.ts'

/** What a lane found in a message besides the values it wrote into the row. One object, used again and again. */
export interface Found {
  shape: Shape
  /** Event time, ms since the epoch; NaN when the message gives none. */
  time: number
  /** Device id when it comes from a field. */
  device: string | undefined
  /** Which of the rule's tags are there, ascending. */
  tagIndexes: readonly number[]
  /** By position in the rule's tags; only valid where `tagIndexes` says so. */
  readonly tagValues: string[]
  /** Per lookup of the rule the position of its field in the shape, or -1. */
  lookupAt: readonly number[]
}

export function createFound(shape: Shape): Found {
  return { shape, time: Number.NaN, device: undefined, tagIndexes: [], tagValues: [], lookupAt: [] }
}

/** What every reading of one message has in common. */
export interface Arrival {
  source: string
  /** ms since the epoch */
  received: number
  /** Whether the gateway's clock can be trusted. */
  synced: boolean
}

/**
 * Completes the row from what was found: device, time, tags, looked-up tags. Both lanes end here.
 * @throws DecodeError `device`, `too_many_devices`, `future`
 */
export function settle(row: Reading, found: Found, route: Route, arrival: Arrival, world: World): void {
  row.source = arrival.source
  row.device = route.device ?? deviceOf(route, found, world.devices)
  row.stream = route.stream
  row.shape = found.shape
  row.received = arrival.received
  row.stamped = Number.isNaN(found.time)
  row.time = row.stamped ? arrival.received : found.time
  if (arrival.synced && row.time > arrival.received + route.rule.future) {
    throw new DecodeError(
      'future',
      `its time is ${Math.round((row.time - arrival.received) / 1000)} s ahead of the clock`,
    )
  }
  let node = route.node
  for (const i of found.tagIndexes) node = node.add(i, route.rule.tags[i] as string, found.tagValues[i] as string)
  row.tags = route.rule.lookups.length === 0 ? node.tags : lookUp(row, found, route, node, world.tables)
}

export interface World {
  readonly devices: Devices
  readonly tables: Readonly<Record<string, LookupTable>>
}

function deviceOf(route: Route, found: Found, devices: Devices) {
  if (found.device === undefined) {
    throw new DecodeError('device', `field ${route.rule.options.deviceField} names no device`)
  }
  return devices.get(found.device)
}

function lookUp(row: Reading, found: Found, route: Route, start: TagNode, tables: World['tables']): Tags {
  const { lookups } = route.rule
  let node = start
  for (let i = 0; i < lookups.length; i++) {
    const lookup = lookups[i] as (typeof lookups)[number]
    const table = tables[lookup.table] as LookupTable
    const key = keyOf(row, node.tags, lookup.by, found.lookupAt[i] as number)
    const columns = key === undefined ? undefined : table.get(key)
    if (columns !== undefined) node = node.join(i, columns, lookup.add)
  }
  return node.tags
}

function keyOf(row: Reading, tags: Tags, by: string, at: number): string | undefined {
  if (tags !== NO_TAGS && Object.hasOwn(tags, by)) return tags[by]
  if (at >= 0) return textAt(row, at)
  if (by === 'device') return row.device.id
  return by === 'stream' ? row.stream : undefined
}

function textAt(row: Reading, at: number): string {
  const kind = row.shape.kinds[at]
  if (kind === TEXT) return row.texts[at] as string
  return kind === NUMBER ? String(row.numbers[at]) : String(row.numbers[at] === 1)
}
