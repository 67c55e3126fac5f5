import { createDecoder, type DecodeRule, type Decoder, type DecoderOptions } from '../../gateway/decode/decoder.ts'
import { createDevices } from '../../gateway/decode/devices.ts'
import { DecodeError } from '../../gateway/errors.ts'
import { createShapes, fieldsOf, type Reading } from '../../gateway/reading.ts'

/** 2026-11-23T08:00:00Z */
export const RECEIVED = Date.UTC(2026, 10, 23, 8)

/** What a reading said, kept. */
export interface Seen {
  readonly device: string
  readonly stream: string | undefined
  readonly tags: Record<string, string>
  readonly time: number
  readonly stamped: boolean
  /** In order. */
  readonly fields: readonly (readonly [string, number | string | boolean])[]
}

export function copyOf(reading: Reading): Seen {
  const { device, stream, tags, time, stamped } = reading
  return { device: device.id, stream, tags: { ...tags }, time, stamped, fields: Object.entries(fieldsOf(reading)) }
}

export interface Bench {
  readonly decoder: Decoder
  /** The readings of one message. */
  read(payload: string | Uint8Array, how?: How): Seen[]
  /** The only reading's fields. */
  fields(payload: string | Uint8Array, how?: How): Record<string, unknown>
  /** The reason of the refusal; fails when it is none. */
  reason(payload: string | Uint8Array, how?: How): string
}

export interface How {
  readonly topic?: string
  readonly contentType?: string
  readonly synced?: boolean
}

/** A decoder of one rule. */
export function bench(rule: Partial<DecodeRule> = {}, options: Partial<DecoderOptions> = {}): Bench {
  const whole = { topic: 'telemetry/{device}[/{stream}]', ...rule }
  const decoder = createDecoder({ rules: [whole], devices: createDevices(), shapes: createShapes(), ...options })

  function read(payload: string | Uint8Array, how: How = {}): Seen[] {
    const route = decoder.route(how.topic ?? 'telemetry/d1')
    if (!route) throw new Error('no route')
    const bytes = Buffer.from(payload)
    // In the middle of other bytes, as in a packet, and followed by what could lead a scanner astray.
    const packet = Buffer.concat([Buffer.from('0'), bytes, Buffer.from('9}"}')])
    const seen: Seen[] = []
    const { contentType, synced = true } = how
    const each = (reading: Reading) => seen.push(copyOf(reading))
    const count = decoder.decode(route, 'test', packet, 1, 1 + bytes.length, contentType, RECEIVED, synced, each)
    if (count !== seen.length) throw new Error(`${count} readings were counted, ${seen.length} given`)
    return seen
  }

  return {
    decoder,
    read,
    fields: (payload, how) => Object.fromEntries(read(payload, how)[0]?.fields ?? []),
    reason(payload, how) {
      try {
        read(payload, how)
      } catch (error) {
        if (error instanceof DecodeError) return error.reason
        throw error
      }
      throw new Error('it was decoded')
    },
  }
}

/** Numbers in [0, 1) that are the same in each run (mulberry32). */
export function seeded(seed: number): () => number {
  let state = seed
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let t = Math.imul(state ^ (state >>> 15), 1 | state)
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296
  }
}
