/**
 * No room in the intake: the socket is not read. After five seconds of it QoS 0 messages are dropped and counted, QoS 1
 * and 2 wait on.
 */
import type { Clock, Timer } from '../clock.ts'
import { BY_ROOM, type Connection } from './connection.ts'
import type { Counters } from './counters.ts'
import type { TelemetryIntake } from './options.ts'

/** ms without room before QoS 0 messages are dropped. A cheap card may take seconds over one fsync; TCP holds the senders so long. */
const PATIENCE = 5_000

interface RoomParts<Route> {
  readonly intake: TelemetryIntake<Route>
  readonly counters: Counters
  readonly clock: Clock
  readonly host: {
    block(connection: Connection<Route>, reason: number): void
    unblock(connection: Connection<Route>, reason: number): void
  }
}

export class Room<Route> {
  readonly #parts: RoomParts<Route>
  readonly #waiting = new Set<Connection<Route>>()
  #patience: Timer | null = null
  #dropping = false

  constructor(parts: RoomParts<Route>) {
    this.#parts = parts
    parts.intake.onRoom(() => this.#free())
  }

  /** There was none for this message. True: it is given up; false: it comes again when there is. */
  none(connection: Connection<Route>, route: Route, qos: number, bytes: number): boolean {
    if (this.#dropping && qos === 0) {
      this.#parts.intake.drop(route, bytes)
      this.#parts.counters.messagesIn++
      this.#parts.counters.drop('no_room')
      return true
    }
    if (!this.#dropping) this.#patience ??= this.#parts.clock.after(PATIENCE, () => this.#loosePatience())
    this.wait(connection)
    return false
  }

  wait(connection: Connection<Route>): void {
    this.#waiting.add(connection)
    this.#parts.host.block(connection, BY_ROOM)
  }

  forget(connection: Connection<Route>): void {
    this.#waiting.delete(connection)
  }

  #loosePatience(): void {
    this.#patience = null
    this.#dropping = true
    this.#resume()
  }

  #free(): void {
    this.#dropping = false
    this.#patience?.cancel()
    this.#patience = null
    this.#resume()
  }

  /** In the order in which they began to wait; whoever has to wait again goes to the end. */
  #resume(): void {
    const list = [...this.#waiting]
    this.#waiting.clear()
    for (const connection of list) this.#parts.host.unblock(connection, BY_ROOM)
  }
}
