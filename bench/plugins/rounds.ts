/**
 * Readings of a sender, encoded once: a round is one reading of each of its devices, in chunks. Each further round gets
 * only later event times, so that a generator costs a small part of what it measures.
 */
import { payload } from '../payload.ts'

export interface RoundOptions {
  /** Of the first reading, ms since the epoch. */
  readonly start: number
  /** Event time between two readings of a device, ms. */
  readonly step: number
  /** Numbers of the devices. */
  readonly devices: readonly number[]
  /** One message as it goes over the wire. */
  readonly encode: (device: number, payload: Buffer) => Buffer
}

export interface Chunk {
  readonly bytes: Buffer
  readonly count: number
}

const CHUNK = 250
const EVENT_TIME = '"event_time":"'

/** Chunks for ever. A copy each: what was written before may still wait in the socket. */
export function* rounds({ start, step, devices, encode }: RoundOptions): Generator<Chunk> {
  const chunks: { bytes: Buffer; places: number[] }[] = []
  for (let at = 0; at < devices.length; at += CHUNK) {
    const messages = devices.slice(at, at + CHUNK).map((device, i) => encode(device, payload(device, start, at + i)))
    const places: number[] = []
    let length = 0
    for (const message of messages) {
      places.push(length + message.indexOf(EVENT_TIME) + EVENT_TIME.length)
      length += message.length
    }
    chunks.push({ bytes: Buffer.concat(messages), places })
  }
  for (let round = 0; ; round++) {
    const time = new Date(start + round * step).toISOString()
    for (const { bytes, places } of chunks) {
      const copy = Buffer.from(bytes)
      for (const place of places) copy.write(time, place, 'latin1')
      yield { bytes: copy, count: places.length }
    }
  }
}

/** The devices of one sender among several. */
export function shareOf(devices: number, senders: number, sender: number): number[] {
  const mine = Math.floor(devices / senders)
  return Array.from({ length: mine }, (_, i) => sender * mine + i)
}
