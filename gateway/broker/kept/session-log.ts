/**
 * Sessions and retained messages beyond the process: a log of changes under the data directory (`records.ts`), on the
 * same durable log as the journal.
 *
 *     change ─▶ record ─▶ log ─▶ durable ─▶ acknowledgement of an ordinary QoS 1 or 2 message
 *                 └─ messages and QoS 0 retained ones wait up to a second: what is settled by then is never written
 *
 * - Every acknowledged change is there after kill -9. Nothing on the way of telemetry waits for it.
 * - When the log has grown to several times what it tells, everything is told anew (a snapshot, told piece by piece
 *   while changes go on), and what is older is deleted. So it takes at most about four times the room of what it tells.
 * - A disk that takes nothing is a state: sessions live on in memory, nobody waits, and when the disk works again
 *   everything is told anew. A damaged record costs what it told.
 */
import type { Clock } from '../../clock.ts'
import type { Log } from '../../log/log.ts'
import type { Outgoing } from '../outgoing.ts'
import type { Publication } from '../publication.ts'
import type { Session, Subscription } from '../session.ts'
import type { SessionStore } from '../session-store.ts'
import {
  ENDED,
  encodeComplete,
  encodeId,
  encodeNumbered,
  encodeOpened,
  encodeQueued,
  encodeRetained,
  encodeSnapshot,
  encodeSubscribed,
  encodeUnsubscribed,
  FORGOTTEN,
  RECEIVED,
  RELEASED,
  SETTLED,
} from './records.ts'
import { type Restored, Restoring } from './restored.ts'

/** Everything that is to be kept, for a snapshot. */
export interface Keepable {
  sessions(): Iterable<Session>
  find(client: string): Session | undefined
  retained(): readonly Publication[]
  retainedOn(topic: string): Publication | null
}

/** Told anew when the log is larger than this and several times what was told. */
const SMALL = 4 * 1024 * 1024
const TIMES = 3
/** A message larger than this is not kept, bytes: the log has room for what it is told at once. */
const LARGEST = 4 * 1024 * 1024

export class SessionLog implements SessionStore {
  readonly #log: Log
  readonly #clock: Clock
  readonly #eager: boolean
  readonly #numbers = new WeakMap<Session, number>()
  /** Messages that are not recorded yet. */
  readonly #unrecorded = new Map<Outgoing, Session>()
  /** Topics whose retained message is not recorded yet. */
  readonly #untold = new Set<string>()
  readonly #listeners: ((durable: number) => void)[] = []
  #lastNumber = 0
  #keepable: Keepable | null = null
  /** The rest of a snapshot that is being told, and the number of its first record. */
  #telling: Generator<Buffer[], void> | null = null
  #begun = 0
  /** A whole snapshot that is not durable yet. */
  #snapshot: { readonly first: number; readonly last: number } | null = null
  /** Bytes of the log when the last snapshot was complete. */
  #told = 0
  /** Something could not be recorded. */
  #incomplete = false

  /** @param eager who waits is served at once; otherwise with the log's next commit, to spare the disk */
  constructor(log: Log, clock: Clock, eager = true) {
    this.#log = log
    this.#clock = clock
    this.#eager = eager
    log.onDurable((durable) => this.#becameDurable(durable))
  }

  /** What the log tells. Before anything is recorded. */
  async restore(): Promise<{ readonly restored: Restored; readonly skipped: number }> {
    const restoring = new Restoring((at) => at - this.#wallOffset())
    let next = this.#log.first
    const take = ({ first, count, body, bounds }: Awaited<ReturnType<Log['undecided']>>[number]) => {
      for (let i = 0; i < count; i++) restoring.record(body, bounds[2 * i] as number, bounds[2 * i + 1] as number)
      next = first + count
    }
    for await (const batch of this.#log.read(next)) take(batch)
    for (const batch of this.#log.undecided(next)) take(batch)
    for (const number of restoring.state.sessions.keys()) this.#lastNumber = Math.max(this.#lastNumber, number)
    return { restored: restoring.state, skipped: restoring.skipped }
  }

  /** From now on changes are recorded. */
  keep(keepable: Keepable): void {
    this.#keepable = keepable
  }

  /** A session that came from the log, under its number there. */
  known(session: Session, number: number): void {
    this.#numbers.set(session, number)
  }

  /** Number of the newest record that waits to be durable. */
  get newest(): number {
    return this.#log.next - 1
  }

  get durable(): number {
    return this.#log.trouble === null ? this.#log.durable : Infinity
  }

  onDurable(listener: (durable: number) => void): void {
    this.#listeners.push(listener)
  }

  opened(session: Session): void {
    this.#append(encodeOpened(this.#openedRecord(session, !this.#numbers.has(session))))
  }

  ended(session: Session): void {
    for (const outgoing of session.outgoing?.all() ?? []) this.#unrecorded.delete(outgoing)
    const number = this.#numbers.get(session)
    if (number === undefined) return
    this.#numbers.delete(session)
    this.#append(encodeNumbered(ENDED, number))
  }

  subscribed(subscription: Subscription): void {
    const number = this.#numbers.get(subscription.session)
    if (number !== undefined) this.#append(encodeSubscribed(number, subscription))
  }

  unsubscribed(session: Session, filter: string): void {
    const number = this.#numbers.get(session)
    if (number !== undefined) this.#append(encodeUnsubscribed(number, filter))
  }

  queued(session: Session, outgoing: Outgoing): void {
    if (this.#numbers.has(session)) this.#unrecorded.set(outgoing, session)
  }

  released(session: Session, outgoing: Outgoing): void {
    this.#appendOf(session, RELEASED, outgoing)
  }

  settled(session: Session, outgoing: Outgoing): void {
    if (!this.#unrecorded.delete(outgoing)) this.#appendOf(session, SETTLED, outgoing)
  }

  received(session: Session, id: number): void {
    this.#appendId(session, RECEIVED, id)
  }

  forgotten(session: Session, id: number): void {
    this.#appendId(session, FORGOTTEN, id)
  }

  retained(topic: string): void {
    this.#untold.add(topic)
  }

  flush(): number {
    if (this.#unrecorded.size > 0) this.#recordMessages()
    if (this.#untold.size > 0) this.#recordRetained()
    if (this.#eager && this.durable < this.newest) void this.#log.flush()
    return this.newest
  }

  /** Once a second. */
  sweep(): void {
    if (this.#log.trouble !== null) {
      // Nobody waits for a disk that takes nothing.
      for (const listener of this.#listeners) listener(Infinity)
      return
    }
    if (this.#unrecorded.size > 0) this.#recordMessages()
    if (this.#untold.size > 0) this.#recordRetained()
    if (this.#telling === null && this.#isSnapshotDue()) this.#beginSnapshot()
    this.#tellOn()
  }

  #openedRecord(session: Session, anew: boolean) {
    const number = this.#numbers.get(session) ?? ++this.#lastNumber
    this.#numbers.set(session, number)
    const { client, expiry, line, since } = session
    return { number, anew, expiry, client, since: line ? 0 : Math.max(1, since + this.#wallOffset()) }
  }

  /** A record of a message, unless the message itself was not recorded. */
  #appendOf(session: Session, kind: number, outgoing: Outgoing): void {
    if (!this.#unrecorded.has(outgoing)) this.#appendId(session, kind, outgoing.id)
  }

  #appendId(session: Session, kind: number, id: number): void {
    const number = this.#numbers.get(session)
    if (number !== undefined) this.#append(encodeId(kind, number, id))
  }

  #recordMessages(): void {
    const toWall = (at: number) => at + this.#wallOffset()
    for (const [outgoing, session] of this.#unrecorded) {
      const number = this.#numbers.get(session)
      if (number !== undefined) this.#append(encodeQueued(number, outgoing, toWall))
    }
    this.#unrecorded.clear()
  }

  #recordRetained(): void {
    for (const topic of this.#untold) this.#append(this.#retainedRecord(topic))
    this.#untold.clear()
  }

  #retainedRecord(topic: string): Buffer {
    const publication = this.#keepable?.retainedOn(topic) ?? gone(topic)
    return encodeRetained(publication, (at) => at + this.#wallOffset())
  }

  #append(record: Buffer): void {
    if (this.#keepable === null || record.length > LARGEST) return
    if (this.#log.append(record, this.#eager) < 0) this.#incomplete = true
  }

  #becameDurable(durable: number): void {
    for (const listener of this.#listeners) listener(durable)
    const snapshot = this.#snapshot
    if (snapshot === null || durable < snapshot.last) return
    this.#snapshot = null
    void this.#log.trimTo(snapshot.first).then(() => {
      this.#told = this.#log.bytes
    })
  }

  #isSnapshotDue(): boolean {
    if (this.#snapshot !== null) return false
    return this.#incomplete || this.#log.bytes > Math.max(SMALL, TIMES * this.#told)
  }

  #beginSnapshot(): void {
    if (!this.#keepable || !this.#log.roomy) return
    this.#incomplete = false
    this.#begun = this.#log.next
    this.#append(encodeSnapshot())
    this.#telling = this.#everything(this.#keepable)
  }

  /** Goes on with the snapshot while the log has room; the rest comes with the next sweep. */
  #tellOn(): void {
    while (this.#telling !== null && this.#log.roomy) {
      const { done, value } = this.#telling.next()
      if (this.#incomplete) {
        this.#telling = null
        return
      }
      if (!done) for (const record of value) this.#append(record)
      else {
        this.#telling = null
        this.#append(encodeComplete())
        this.#snapshot = { first: this.#begun, last: this.#log.next - 1 }
        void this.#log.flush()
      }
    }
  }

  /** Piece by piece: each is told whole, as it is then. */
  *#everything(keepable: Keepable): Generator<Buffer[], void> {
    for (const session of [...keepable.sessions()])
      if (session.expiry > 0 && keepable.find(session.client) === session) yield this.#all(session)
    for (const publication of keepable.retained())
      if (keepable.retainedOn(publication.topic) === publication) yield [this.#retainedRecord(publication.topic)]
  }

  #all(session: Session): Buffer[] {
    const opened = this.#openedRecord(session, true)
    const { number } = opened
    const toWall = (at: number) => at + this.#wallOffset()
    const records = [encodeOpened(opened)]
    for (const subscription of session.subscriptions.values()) records.push(encodeSubscribed(number, subscription))
    for (const outgoing of session.outgoing?.all() ?? []) {
      this.#unrecorded.delete(outgoing)
      records.push(encodeQueued(number, outgoing, toWall))
    }
    for (const [id, { telemetry }] of session.received ?? [])
      if (!telemetry) records.push(encodeId(RECEIVED, number, id))
    return records
  }

  /** Wall clock minus monotonic, ms. */
  #wallOffset(): number {
    return this.#clock.now() - this.#clock.monotonic()
  }
}

function gone(topic: string): Publication {
  const empty = Buffer.alloc(0)
  return { topic, payload: empty, qos: 0, retain: true, properties: empty, expires: Infinity, clientId: undefined }
}
