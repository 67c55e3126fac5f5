/** Every packet of a connected client but PUBLISH, which the lane takes: SUBSCRIBE and UNSUBSCRIBE, acknowledgements, DISCONNECT. */
import type { Acknowledging } from './acknowledging.ts'
import { maySubscribe } from './acl.ts'
import type { Connection } from './connection.ts'
import type { Counters } from './counters.ts'
import type { Delivery } from './delivery.ts'
import { PUBACK, PUBCOMP, PUBREC, PUBREL, SUBSCRIBE, UNSUBSCRIBE } from './framing.ts'
import type { BrokerLimits, Identity } from './options.ts'
import { type Acknowledgement, encodePubrel, parseAcknowledgement } from './packets/acknowledgement.ts'
import { type Disconnect, parseDisconnect } from './packets/disconnect.ts'
import type { PacketReader } from './packets/reader.ts'
import {
  encodeSuback,
  encodeUnsuback,
  parseSubscribe,
  parseUnsubscribe,
  type SubscribeRequest,
} from './packets/subscribe.ts'
import type { RareLog } from './rare-log.ts'
import { malformed, NO_SUBSCRIPTION, NOT_AUTHORIZED, protocolError, QUOTA, SUCCESS, UNKNOWN_ID } from './reasons.ts'
import type { Retained } from './retained.ts'
import type { Session } from './session.ts'
import type { SessionStore } from './session-store.ts'
import type { Sessions } from './sessions.ts'
import type { Subscriptions } from './subscriptions.ts'

interface DeskParts<Route> {
  readonly sessions: Sessions
  readonly subscriptions: Subscriptions
  readonly retained: Retained
  readonly delivery: Delivery
  readonly store: SessionStore
  readonly acknowledging: Acknowledging<Route>
  readonly counters: Counters
  readonly rareLog: RareLog
  readonly limits: BrokerLimits
  /** A connected client subscribes. */
  subscribed(filter: string, identity: Identity): void
}

export class Desk<Route> {
  readonly #parts: DeskParts<Route>

  constructor(parts: DeskParts<Route>) {
    this.#parts = parts
  }

  /** False: there is no room for it now, it comes again. @throws MqttError */
  packet(connection: Connection<Route>, type: number, reader: PacketReader): boolean {
    const { session, version } = connection
    if (!session) return true
    switch (type) {
      case SUBSCRIBE:
        this.#subscribe(connection, session, reader)
        return true
      case UNSUBSCRIBE:
        this.#unsubscribe(connection, session, reader)
        return true
      case PUBACK:
      case PUBREC:
      case PUBREL:
      case PUBCOMP:
        return this.#acknowledge(connection, session, type, parseAcknowledgement(reader, version))
      default:
        // AUTH, since MQTT 5: nobody has logged in that way (MQTT-4.12.0-6).
        throw version === 5 ? protocolError('AUTH without an authentication method') : malformed(`packet type ${type}`)
    }
  }

  /** @throws MqttError */
  disconnect(connection: Connection<Route>, reader: PacketReader): void {
    const { session, version } = connection
    const disconnect: Disconnect = parseDisconnect(reader, version)
    if (!session) return
    // MQTT-3.14.4-3: without a will unless it is asked for.
    if (disconnect.reason === SUCCESS) session.will = null
    const { sessionExpiry } = disconnect
    if (sessionExpiry === undefined) return
    // MQTT-3.1.2-23: a session that ends with its connection cannot be kept after all.
    if (session.expiry === 0 && sessionExpiry > 0) throw protocolError('the session was to end with the connection')
    this.#parts.sessions.changeExpiry(session, Math.min(sessionExpiry, this.#parts.limits.sessionExpiry))
  }

  #subscribe(connection: Connection<Route>, session: Session, reader: PacketReader): void {
    const { id, identifier, requests } = parseSubscribe(reader, connection.version)
    const added: { readonly request: SubscribeRequest; readonly isNew: boolean }[] = []
    const codes = requests.map((request) => {
      const refusal = this.#refusal(connection, session, request)
      if (refusal !== undefined) return refusal
      const { filter, share, topics, qos, noLocal, retainAsPublished } = request
      const subscription = { session, filter, share, topics, qos, noLocal, retainAsPublished, identifier }
      // An old one with this filter is replaced (MQTT-3.8.4-3).
      added.push({ request, isNew: this.#parts.subscriptions.add(subscription) })
      this.#parts.store.subscribed(subscription)
      return qos
    })
    connection.write(encodeSuback(connection.version, id, codes))
    for (const { request, isNew } of added) {
      this.#parts.subscribed(request.topics, connection.identity)
      this.#oweRetained(session, request, isNew, identifier)
    }
  }

  /** MQTT-3.3.1-9 to -11; shared subscriptions get none. */
  #oweRetained(session: Session, request: SubscribeRequest, isNew: boolean, identifier: number): void {
    const { share, topics, qos, retainHandling, noLocal } = request
    if (share !== null || retainHandling === 2 || (retainHandling === 1 && !isNew)) return
    const identifiers = identifier > 0 ? [identifier] : []
    const found = this.#parts.retained.match(topics)
    const owed = noLocal ? found.filter(({ clientId }) => clientId !== session.client) : found
    this.#parts.delivery.owe(
      session,
      owed.map((publication) => ({ publication, qos: qos < publication.qos ? qos : publication.qos, identifiers })),
    )
  }

  #refusal(connection: Connection<Route>, session: Session, request: SubscribeRequest): number | undefined {
    const full = session.subscriptions.size >= this.#parts.limits.subscriptionsPerClient
    const allowed = maySubscribe(connection.permissions, request.topics)
    if (allowed && (!full || session.subscriptions.has(request.filter))) return undefined
    const reason = allowed ? 'too_many_subscriptions' : 'subscribe_denied'
    const { address } = connection.arrival
    this.#parts.counters.refuse(reason)
    this.#parts.rareLog.warn(
      `${reason} ${address}`,
      { reason, ...connection.identity, filter: request.filter },
      'subscription refused',
    )
    return allowed ? QUOTA : NOT_AUTHORIZED
  }

  #unsubscribe(connection: Connection<Route>, session: Session, reader: PacketReader): void {
    const { id, filters } = parseUnsubscribe(reader, connection.version)
    const codes = filters.map((filter) => {
      if (!this.#parts.subscriptions.remove(session, filter)) return NO_SUBSCRIPTION
      this.#parts.store.unsubscribed(session, filter)
      return SUCCESS
    })
    connection.write(encodeUnsuback(connection.version, id, codes))
  }

  #acknowledge(
    connection: Connection<Route>,
    session: Session,
    type: number,
    acknowledgement: Acknowledgement,
  ): boolean {
    const { id, reason } = acknowledgement
    const { delivery, acknowledging } = this.#parts
    if (type === PUBREL) return acknowledging.release(connection, session, id)
    if (type === PUBREC && reason < 0x80) this.#received(connection, session, id)
    else delivery.settle(session, id)
    return true
  }

  /** MQTT-4.3.3-4, and section 3.6.2.1 when we know of no such message. */
  #received(connection: Connection<Route>, session: Session, id: number): void {
    const known = this.#parts.delivery.release(session, id)
    if (known || connection.version !== 5) connection.write(encodePubrel(id))
    else connection.write(Buffer.from([0x62, 3, id >> 8, id & 0xff, UNKNOWN_ID]))
  }
}
