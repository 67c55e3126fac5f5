/**
 * What the log of sessions holds, version 1. Big-endian; a text is its length (u16) and UTF-8.
 *
 *   1 OPENED        session u32 | flags u8 | expiry u32, s | since u48 | client text
 *   2 ENDED         session u32
 *   3 SUBSCRIBED    session u32 | options u8 | identifier u32 | filter text
 *   4 UNSUBSCRIBED  session u32 | filter text
 *   5 QUEUED        session u32 | id u16 | flags u8 | count u8 | count times identifier u32 | publication
 *   6 RELEASED      session u32 | id u16            the subscriber has the QoS 2 message
 *   7 SETTLED       session u32 | id u16            done with, or dropped
 *   8 RECEIVED      session u32 | id u16            of a QoS 2 message from the client, not telemetry
 *   9 FORGOTTEN     session u32 | id u16
 *   10 RETAINED     publication                     without a payload: there is none now
 *   11 SNAPSHOT     version u8                      from here on everything is told anew …
 *   12 COMPLETE                                     … and has been: what came before SNAPSHOT is not needed
 *
 *   publication     flags u8: QoS, RETAIN | expires u48 | topic text | publisher text | length u32, properties | payload
 *
 * - Sessions have numbers, given once per snapshot; `expiry` 0xffffffff is for ever, `since` when the client went away,
 *   0 while it is connected. Times are wall clock, ms since the epoch; `expires` 0 is never.
 * - OPENED of a number that is known changes it; with ANEW in its flags what was known of it is void.
 * - What is told of a session that is not known is left out: between SNAPSHOT and COMPLETE it will be told whole.
 */
import type { Outgoing } from '../outgoing.ts'
import type { PacketReader } from '../packets/reader.ts'
import { PacketWriter } from '../packets/writer.ts'
import { type Publication, qosOf } from '../publication.ts'
import type { Subscription } from '../session.ts'

export const VERSION = 1
export const OPENED = 1
export const ENDED = 2
export const SUBSCRIBED = 3
export const UNSUBSCRIBED = 4
export const QUEUED = 5
export const RELEASED = 6
export const SETTLED = 7
export const RECEIVED = 8
export const FORGOTTEN = 9
export const RETAINED = 10
export const SNAPSHOT = 11
export const COMPLETE = 12

const ANEW = 1
const NEVER = 0xffff_ffff
const QOS = 3
const RETAIN = 4
const SENT = 8
const WAS_RELEASED = 16
const NO_LOCAL = 4
const AS_PUBLISHED = 8

export interface OpenedRecord {
  readonly number: number
  readonly anew: boolean
  /** s; Infinity: for ever. */
  readonly expiry: number
  /** Wall clock, ms; 0: the client is connected. */
  readonly since: number
  readonly client: string
}

export function encodeOpened({ number, anew, expiry, since, client }: OpenedRecord): Buffer {
  return record(OPENED)
    .four(number)
    .byte(anew ? ANEW : 0)
    .four(Math.min(expiry, NEVER))
    .bytes(wall(since))
    .text(client)
    .joined()
}

export function decodeOpened(reader: PacketReader): OpenedRecord {
  const number = reader.four()
  const anew = (reader.byte() & ANEW) !== 0
  const expiry = reader.four()
  return { number, anew, expiry: expiry === NEVER ? Infinity : expiry, since: readWall(reader), client: reader.text() }
}

export function encodeNumbered(kind: number, number: number): Buffer {
  return record(kind).four(number).joined()
}

export function encodeId(kind: number, number: number, id: number): Buffer {
  return record(kind).four(number).two(id).joined()
}

export type SubscribedRecord = Omit<Subscription, 'session' | 'share' | 'topics'>

export function encodeSubscribed(number: number, subscription: SubscribedRecord): Buffer {
  const { qos, noLocal, retainAsPublished, identifier, filter } = subscription
  const options = qos | (noLocal ? NO_LOCAL : 0) | (retainAsPublished ? AS_PUBLISHED : 0)
  return record(SUBSCRIBED).four(number).byte(options).four(identifier).text(filter).joined()
}

export function decodeSubscribed(reader: PacketReader): SubscribedRecord {
  const options = reader.byte()
  return {
    qos: qosOf(options & QOS),
    noLocal: (options & NO_LOCAL) !== 0,
    retainAsPublished: (options & AS_PUBLISHED) !== 0,
    identifier: reader.four(),
    filter: reader.text(),
  }
}

export function encodeUnsubscribed(number: number, filter: string): Buffer {
  return record(UNSUBSCRIBED).four(number).text(filter).joined()
}

/** @param toWall monotonic to wall clock, ms */
export function encodeQueued(number: number, outgoing: Outgoing, toWall: (at: number) => number): Buffer {
  const { id, qos, retain, identifiers, sent, released, publication } = outgoing
  const flags = qos | (retain ? RETAIN : 0) | (sent ? SENT : 0) | (released ? WAS_RELEASED : 0)
  const writer = record(QUEUED).four(number).two(id).byte(flags).byte(Math.min(identifiers.length, 255))
  for (const identifier of identifiers.slice(0, 255)) writer.four(identifier)
  return writePublication(writer, publication, toWall).joined()
}

/** @param fromWall wall clock to monotonic, ms */
export function decodeQueued(reader: PacketReader, fromWall: (at: number) => number): Outgoing {
  const id = reader.id()
  const flags = reader.byte()
  const identifiers = Array.from({ length: reader.byte() }, () => reader.four())
  return {
    id,
    qos: (flags & QOS) === 2 ? 2 : 1,
    retain: (flags & RETAIN) !== 0,
    sent: (flags & SENT) !== 0,
    released: (flags & WAS_RELEASED) !== 0,
    identifiers,
    publication: readPublication(reader, fromWall),
  }
}

export function encodeRetained(publication: Publication, toWall: (at: number) => number): Buffer {
  return writePublication(record(RETAINED), publication, toWall).joined()
}

export function decodeRetained(reader: PacketReader, fromWall: (at: number) => number): Publication {
  return readPublication(reader, fromWall)
}

export function encodeSnapshot(): Buffer {
  return record(SNAPSHOT).byte(VERSION).joined()
}

export function encodeComplete(): Buffer {
  return record(COMPLETE).joined()
}

function record(kind: number): PacketWriter {
  return new PacketWriter().byte(kind)
}

function writePublication(
  writer: PacketWriter,
  publication: Publication,
  toWall: (at: number) => number,
): PacketWriter {
  const { topic, payload, qos, retain, properties, expires, clientId } = publication
  return writer
    .byte(qos | (retain ? RETAIN : 0))
    .bytes(wall(expires === Infinity ? 0 : toWall(expires)))
    .text(topic)
    .text(clientId ?? '')
    .four(properties.length)
    .bytes(properties)
    .bytes(payload)
}

function readPublication(reader: PacketReader, fromWall: (at: number) => number): Publication {
  const flags = reader.byte()
  const expires = readWall(reader)
  const topic = reader.text()
  const publisher = reader.text()
  const properties = own(reader.view(reader.four()))
  const payload = own(reader.view(reader.left))
  return {
    topic,
    payload,
    qos: qosOf(flags & QOS),
    retain: (flags & RETAIN) !== 0,
    properties,
    expires: expires === 0 ? Infinity : fromWall(expires),
    clientId: publisher === '' ? undefined : publisher,
  }
}

/** A copy that does not keep the log's buffer. */
function own(bytes: Buffer): Buffer {
  const copy = Buffer.allocUnsafeSlow(bytes.length)
  bytes.copy(copy)
  return copy
}

function wall(time: number): Buffer {
  const bytes = Buffer.allocUnsafe(6)
  bytes.writeUIntBE(Math.max(0, Math.min(2 ** 48 - 1, Math.round(time))), 0, 6)
  return bytes
}

function readWall(reader: PacketReader): number {
  return reader.two() * 2 ** 32 + reader.four()
}
