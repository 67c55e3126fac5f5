/**
 * Decode: bytes become readings.
 *
 *   topic ──route──▶ rule, device, stream, tags          once per distinct topic
 *   payload ──▶ fast lane ──▶ row ──▶ settle ──▶ each     JSON objects whose layout is known
 *          └──▶ general path (gunzip, codec, draft) ─┘    everything else, and every refusal
 *
 * Both ways fill the same row and give the same reading. A message is taken as a whole or not at all: of several
 * readings each is checked before the first is given out.
 */
import { DecodeError, StartError } from '../errors.ts'
import { createReading, type Reading, type Shape } from '../reading.ts'
import { codecOf, gunzip, type Items, isGzip, readItems } from './codecs.ts'
import type { Devices } from './devices.ts'
import { createDraft } from './draft.ts'
import type { FieldInfo } from './field-types.ts'
import { type Arrival, createFound, settle, type World } from './found.ts'
import { createInference } from './inference.ts'
import { DONE, JsonLane, lastInk, NO_END, skipSpace } from './json-fast.ts'
import { matchRoute, type Route } from './route.ts'
import { type Codec, type CompiledRule, compileRule, type DecodeRule } from './rule.ts'
import { beginsLikeSenml } from './senml.ts'
import type { LookupTable } from './tables.ts'
import { createTagTree, type TagNode } from './tag-tree.ts'
import { createTextCache } from './text-cache.ts'

export type { Route } from './route.ts'
export type { DecodeRule } from './rule.ts'

/** Takes a reading; it is valid until the call returns. */
export type Each = (reading: Reading) => void

export interface Decoder {
  /** Null when no rule matches: ordinary broker traffic. Pure text work, called once per distinct topic. */
  route(topic: string): Route | null
  /**
   * Decodes the message in `payload[start, end)` and calls `each` per reading; all or nothing. The reading is valid
   * until `each` returns. Returns the number of readings.
   * @param received ms since the epoch
   * @param synced whether the gateway's clock is right; times ahead of a wrong clock are not refused
   * @throws DecodeError with a stable reason
   */
  decode(
    route: Route,
    source: string,
    payload: Buffer,
    start: number,
    end: number,
    contentType: string | undefined,
    received: number,
    synced: boolean,
    each: Each,
  ): number
  /** Types of the fields seen, by device type. */
  fieldTypes(): FieldInfo[]
  /** Messages by the way they went. */
  readonly lanes: { readonly fast: number; readonly general: number }
}

export interface DecoderOptions {
  /** The first whose topic matches wins. */
  readonly rules: readonly DecodeRule[]
  /** Lookup tables by name. */
  readonly lookups?: Readonly<Record<string, LookupTable>> | undefined
  readonly devices: Devices
  /** The tree of shapes, shared by all that handle readings. */
  readonly shapes: Shape
  /** Called when a field of a device type comes with another type for the first time. */
  readonly typeChanged?: ((info: FieldInfo) => void) | undefined
}

/** A rule ready for work; found by its compiled rule. */
interface Ready {
  readonly rule: CompiledRule
  readonly root: TagNode
  readonly lane: JsonLane
}

/** @throws StartError `SLUICE_TOPIC_PATTERN`, `SLUICE_LOOKUP` when a rule can't work */
export function createDecoder(options: DecoderOptions): Decoder {
  const world: World = { devices: options.devices, tables: options.lookups ?? {} }
  const row = createReading({ id: '', slots: [] }, options.shapes)
  const found = createFound(options.shapes)
  const draft = createDraft(row, options.shapes)
  const texts = createTextCache()
  const inference = createInference(options.typeChanged)
  const arrival: Arrival = { source: '', received: 0, synced: false }
  const lanes = { fast: 0, general: 0 }
  const ready = options.rules.map((rule): Ready => {
    const compiled = compileRule(rule)
    checkRule(compiled, world)
    return { rule: compiled, root: rootOf(rule), lane: new JsonLane(compiled, options.shapes, texts, row, found) }
  })
  const laneOf = new Map(ready.map(({ rule, lane }) => [rule, lane]))
  let lastRule: CompiledRule | undefined
  let lastLane: JsonLane | undefined

  function give(route: Route, each: Each): void {
    inference.see(route, row)
    each(row)
  }

  function laneFor(rule: CompiledRule): JsonLane | undefined {
    if (rule !== lastRule) {
      lastRule = rule
      lastLane = laneOf.get(rule)
    }
    return lastLane
  }

  /** Goes through an array of objects: to check them all, then to give them out. Returns their number, or NO_END. */
  function eachElement(lane: JsonLane, route: Route, bytes: Buffer, start: number, last: number, each?: Each): number {
    let count = 0
    let i = start
    while (i !== DONE) {
      i = lane.element(bytes, i, last)
      if (i === NO_END) return NO_END
      settle(row, found, route, arrival, world)
      if (each) give(route, each)
      count++
    }
    return count
  }

  function readArray(lane: JsonLane, route: Route, bytes: Buffer, start: number, end: number, each: Each): number {
    const last = lastInk(bytes, start, end)
    const first = skipSpace(bytes, start)
    if (bytes[first] !== 91 || bytes[last] !== 93 || first >= last) return NO_END
    if (beginsLikeSenml(bytes, first + 1, last)) return NO_END
    try {
      if (eachElement(lane, route, bytes, first + 1, last) === NO_END) return NO_END
    } catch (error) {
      // A later element may be worse than this one: the general path knows which reason comes first.
      if (error instanceof DecodeError) return NO_END
      throw error
    }
    return eachElement(lane, route, bytes, first + 1, last, each)
  }

  function decodeGeneral(route: Route, bytes: Buffer, codec: Codec, each: Each): number {
    const device = route.device?.id ?? ''
    const items = readItems(bytes, codec, route.rule.options, device, arrival.received)
    try {
      if (items.count > 1) for (let i = 0; i < items.count; i++) load(items, i, route)
      for (let i = 0; i < items.count; i++) {
        load(items, i, route)
        give(route, each)
      }
    } finally {
      // Long texts are not kept alive by a row that waits for its next message.
      if (bytes.length > LONG) row.texts.fill('')
    }
    return items.count
  }

  function load(items: Items, i: number, route: Route): void {
    draft.begin(route.rule)
    items.load(i, draft)
    draft.finish(found)
    settle(row, found, route, arrival, world)
  }

  return {
    route(topic) {
      for (const { rule, root } of ready) {
        const route = matchRoute(rule, root, options.devices, topic)
        if (route) return route
      }
      return null
    },

    decode(route, source, payload, start, end, contentType, received, synced, each) {
      if (route.refusal !== undefined) throw route.refusal
      arrival.source = source
      arrival.received = received
      arrival.synced = synced
      const codec = codecFor(route.rule, contentType)
      const lane = codec === 'auto' || codec === 'json' ? laneFor(route.rule) : undefined
      if (lane?.read(payload, start, end)) {
        lanes.fast++
        settle(row, found, route, arrival, world)
        give(route, each)
        return 1
      }
      const count = lane ? readArray(lane, route, payload, start, end, each) : NO_END
      if (count !== NO_END) {
        lanes.fast++
        return count
      }
      lanes.general++
      const bytes = payload.subarray(start, end)
      return decodeGeneral(route, isGzip(payload, start, end) ? gunzip(bytes) : bytes, codec, each)
    },

    fieldTypes: () => inference.fieldTypes(),
    lanes,
  }
}

const LONG = 4096

function codecFor(rule: CompiledRule, contentType: string | undefined): Codec {
  return rule.codec === 'auto' && contentType !== undefined ? (codecOf(contentType) ?? 'auto') : rule.codec
}

/** The tags that every reading of the rule has. */
function rootOf(rule: DecodeRule): TagNode {
  let node = createTagTree()
  for (const [i, [name, value]] of Object.entries(rule.set ?? {}).entries()) node = node.add(i, name, value)
  return node
}

function checkRule(rule: CompiledRule, world: World): void {
  if (!rule.pattern.hasDevice && rule.options.deviceField === undefined) {
    throw new StartError(
      'SLUICE_TOPIC_PATTERN',
      `topic pattern ${rule.pattern.text} names no {device}, nor does a field`,
    )
  }
  const unknown = rule.lookups.find(({ table }) => !Object.hasOwn(world.tables, table))
  if (unknown) throw new StartError('SLUICE_LOOKUP', `there is no lookup table ${unknown.table}`)
}
