/**
 * When clients are told that their QoS 1 and 2 messages are here, and which of them came before.
 *
 *     telemetry ─▶ journal ──────────┐
 *                                    ├─▶ PUBACK, PUBREC, PUBCOMP
 *     others ─▶ log of sessions ─────┘
 *
 * Acknowledgements go out in the order of their messages (MQTT-4.6.0-2), so a connection waits for one of the two disks
 * at a time.
 */
import { Acknowledgements, PUBCOMP, PUBREC } from './acknowledgements.ts'
import { BY_UNACKNOWLEDGED, type Connection } from './connection.ts'
import type { BrokerLimits, TelemetryIntake } from './options.ts'
import { MqttError, RECEIVE_MAXIMUM, SUCCESS, UNKNOWN_ID } from './reasons.ts'
import type { Session } from './session.ts'
import type { SessionStore } from './session-store.ts'

interface AcknowledgingParts<Route> {
  readonly intake: TelemetryIntake<Route>
  readonly store: SessionStore
  readonly limits: BrokerLimits
  readonly host: {
    block(connection: Connection<Route>, reason: number): void
    unblock(connection: Connection<Route>, reason: number): void
    broken(connection: Connection<Route>, error: MqttError): void
  }
  /** No room in the journal for a release: the connection waits for it. */
  noRoom(connection: Connection<Route>): void
}

export class Acknowledging<Route> {
  readonly #parts: AcknowledgingParts<Route>
  /** Wait for the journal. */
  readonly #journal = new Acknowledgements<Connection<Route>>()
  /** Wait for the log of sessions. */
  readonly #sessions = new Acknowledgements<Connection<Route>>()

  constructor(parts: AcknowledgingParts<Route>) {
    this.#parts = parts
    const after = (connection: Connection<Route>) => this.#acknowledged(connection)
    parts.intake.onDurable((durable) => this.#journal.commit(durable, after))
    parts.store.onDurable((durable) => this.#sessions.commit(durable, after))
  }

  /** How many wait for a disk. */
  get waiting(): number {
    return this.#journal.length + this.#sessions.length
  }

  /** Writes those that need not wait. */
  flush(): void {
    this.#journal.flush()
  }

  /** Acknowledge when the journal has `entry`; 0: behind what the connection waits for. */
  journaled(connection: Connection<Route>, kind: number, id: number, entry: number, reason = SUCCESS): void {
    if (entry <= this.#parts.intake.durable) {
      this.#behind(connection, kind, id, reason)
      return
    }
    connection.waitsForJournal = true
    this.#journal.add(connection, kind, id, entry, reason)
    this.#bound(connection)
  }

  /** Acknowledge when what was recorded of sessions since `newest` is durable. */
  kept(connection: Connection<Route>, kind: number, id: number, newest: number, reason = SUCCESS): void {
    const { store } = this.#parts
    const number = store.flush()
    if (number === newest || number <= store.durable) {
      this.#behind(connection, kind, id, reason)
      return
    }
    connection.waitsForJournal = false
    this.#sessions.add(connection, kind, id, number, reason)
    this.#bound(connection)
  }

  /** The connection still waits for the other disk: the message comes again when it does not. */
  isOutOfTurn(connection: Connection<Route>, telemetry: boolean): boolean {
    if (connection.unacknowledged === 0 || connection.waitsForJournal === telemetry) return false
    this.#parts.host.block(connection, BY_UNACKNOWLEDGED)
    return true
  }

  /** A QoS 2 message that is here: a packet id is one message until it is released (MQTT-4.3.3-10). */
  isKnown(connection: Connection<Route>, session: Session, id: number): boolean {
    const receipt = session.received?.get(id)
    if (receipt === undefined) return false
    const { waiting, telemetry } = receipt
    if (waiting === null) this.journaled(connection, PUBREC, id, 0)
    // It came over an earlier connection and is not durable yet: this one is told too.
    else if (waiting !== connection) (telemetry ? this.#journal : this.#sessions).add(connection, PUBREC, id, 0)
    return true
  }

  /** A QoS 2 message has come. */
  receive(connection: Connection<Route>, session: Session, id: number, telemetry: boolean): void {
    session.received ??= new Map()
    session.received.set(id, { waiting: connection, telemetry })
    if (!telemetry && session.expiry > 0) this.#parts.store.received(session, id)
  }

  /** As many QoS 2 messages as the client may send are not released: it is disconnected. */
  isOverfull(connection: Connection<Route>, session: Session): boolean {
    return this.#isTooMuch(connection, session.received?.size ?? 0)
  }

  /** A PUBREL: the client may use the packet id again (MQTT-4.3.3-11). False: not now, it comes again. */
  release(connection: Connection<Route>, session: Session, id: number): boolean {
    const receipt = session.received?.get(id)
    // Before its PUBREC has gone out the release means nothing; it comes again after the PUBREC.
    if (receipt?.waiting) return true
    if (receipt === undefined)
      this.journaled(connection, PUBCOMP, id, 0, connection.version === 5 ? UNKNOWN_ID : SUCCESS)
    else if (!this.#release(connection, session, id, receipt.telemetry)) return false
    session.received?.delete(id)
    return true
  }

  /** The id is free when that is durable too: after a crash a new message must not pass for the old one. */
  #release(connection: Connection<Route>, session: Session, id: number, telemetry: boolean): boolean {
    const { intake, store } = this.#parts
    if (!telemetry) {
      const { newest } = store
      store.forgotten(session, id)
      this.kept(connection, PUBCOMP, id, newest)
      return true
    }
    const entry = intake.release(session.client, id)
    if (entry < 0) this.#parts.noRoom(connection)
    else this.journaled(connection, PUBCOMP, id, entry)
    return entry >= 0
  }

  /** It waits for no disk, but is not to overtake what the connection waits for. */
  #behind(connection: Connection<Route>, kind: number, id: number, reason: number): void {
    const queue = connection.waitsForJournal ? this.#journal : this.#sessions
    // Nothing in the queue: no commit is to come that would let it go.
    if (connection.unacknowledged > 0 && queue.length > 0) {
      queue.add(connection, kind, id, 0, reason)
      return
    }
    if (kind === PUBREC) connection.received(id)
    this.#journal.now(connection, kind, id, 64, reason)
  }

  /** A connection that waits for too many is read no further. */
  #bound(connection: Connection<Route>): void {
    if (this.#isTooMuch(connection, connection.unacknowledged - 1)) return
    if (connection.unacknowledged >= this.#parts.limits.unacknowledged)
      this.#parts.host.block(connection, BY_UNACKNOWLEDGED)
  }

  /** The client has sent more than it was told that it may (MQTT 5 section 3.3.4). */
  #isTooMuch(connection: Connection<Route>, waiting: number): boolean {
    if (connection.version !== 5 || waiting < this.#parts.limits.receiveMaximum) return false
    const error = new MqttError(RECEIVE_MAXIMUM, 'more QoS 1 and 2 messages at a time than it may send')
    this.#parts.host.broken(connection, error)
    return true
  }

  #acknowledged(connection: Connection<Route>): void {
    if ((connection.blocked & BY_UNACKNOWLEDGED) === 0) return
    // All of them, when it waits for the other kind of acknowledgement.
    if (connection.unacknowledged === 0 || connection.unacknowledged * 2 <= this.#parts.limits.unacknowledged)
      this.#parts.host.unblock(connection, BY_UNACKNOWLEDGED)
  }
}
