import type { Description } from '../devices/descriptions.ts'
import { lastFields } from '../devices/devices.ts'
import type { DevicePage, DeviceQuery, DeviceStatus } from '../http/api.ts'
import { matcher } from '../http/pattern.ts'
import type { Sources } from '../ingest/sources.ts'
import type { Commander, DeviceConnection } from '../plugin.ts'
import type { LastReading } from '../reading.ts'
import { iso } from './iso.ts'
import type { ViewParts } from './parts.ts'

type DeviceParts = Pick<ViewParts, 'devices' | 'descriptions' | 'sources'>

/**
 * Undefined for a device that has sent nothing, of which nobody said anything, and which no commander knows.
 *
 * @param started wall clock, ms: stands for the time of a device that has sent nothing
 */
export function deviceStatus(parts: DeviceParts, id: string, started: number): DeviceStatus | undefined {
  const last = parts.devices.find(id)?.last
  const described = parts.descriptions.get(id)
  const connection = connectionOf(id, parts.sources)
  if (last === undefined && described === undefined && connection === undefined) return undefined
  return {
    id,
    ...(last
      ? lastOf(last)
      : { ...SILENT, source: connection?.source ?? 'config', time: iso(started), received: iso(started) }),
    ...(described ? saidOf(described, parts.descriptions.origin(id)) : {}),
    ...(connection ? { connection } : {}),
  }
}

const SILENT = { readings: 0, tags: {}, fields: {} }

function lastOf(last: LastReading) {
  const { source, stream, time, received, count, tags } = last
  return {
    source,
    ...(stream === undefined ? {} : { stream }),
    time: iso(time),
    received: iso(received),
    readings: count,
    tags: { ...tags },
    fields: lastFields(last),
  }
}

/** Answers are plain copies; what the config holds is not to be written to. */
function saidOf({ webhook, ...said }: Description, described: DeviceStatus['described']) {
  const copy = structuredClone(said) as Pick<DeviceStatus, 'name' | 'room' | 'kind' | 'units' | 'commands'>
  return { ...copy, ...(described ? { described } : {}), ...(webhook === undefined ? {} : { webhook: true }) }
}

export function devicePage(
  parts: DeviceParts,
  { match, id: named, after, limit }: DeviceQuery,
  started: number,
): DevicePage {
  const matches = match === undefined ? undefined : matcher(match)
  const all = [...new Set(named ?? known(parts))].filter((id) => !matches || matches(id, undefined)).sort()
  const from = after === undefined ? 0 : all.findIndex((id) => id > after)
  const page = from < 0 ? [] : all.slice(from, from + limit)
  const more = from >= 0 && from + limit < all.length
  const next = more ? page.at(-1) : undefined
  return {
    total: all.length,
    devices: page.flatMap((id) => deviceStatus(parts, id, started) ?? []),
    ...(next === undefined ? {} : { next }),
  }
}

/** Those that have spoken, those of which somebody spoke, and those that registered. */
function known({ devices, descriptions, sources }: DeviceParts): string[] {
  const heard = [...devices.all()].filter(({ last }) => last !== undefined)
  return [
    ...heard.map(({ id }) => id),
    ...descriptions.ids(),
    ...sources.list().flatMap(({ commander }) => listedBy(commander)),
  ]
}

/** As the first commander sees it that knows the device. */
function connectionOf(device: string, sources: Sources): DeviceStatus['connection'] {
  for (const { name, commander } of sources.list()) {
    const known = describedBy(commander, device)
    if (known) return { source: name, ...known, ...(known.details ? { details: { ...known.details } } : {}) }
  }
  return undefined
}

/** A plugin that throws harms no listing. */
function listedBy(commander: Commander | undefined): string[] {
  try {
    return [...(commander?.devices?.() ?? [])]
  } catch {
    return []
  }
}

function describedBy(commander: Commander | undefined, device: string): DeviceConnection | undefined {
  try {
    return commander?.describe?.(device)
  } catch {
    return undefined
  }
}
