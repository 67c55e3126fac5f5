/** The broker's parts, put together; `embedded.ts` says how packets go through them. */
import { Acknowledging } from './acknowledging.ts'
import { Admission } from './admission.ts'
import { Authentication } from './authentication.ts'
import { Clients } from './clients.ts'
import type { BrokerContext } from './context.ts'
import { Counters } from './counters.ts'
import { Delivery } from './delivery.ts'
import { Desk } from './desk.ts'
import { FanOut } from './fan-out.ts'
import { Guard } from './guard.ts'
import { CLIENT_ALIASES, Handshake } from './handshake.ts'
import { Promises } from './kept/promises.ts'
import { Lane } from './lane.ts'
import { sendWill } from './last-will.ts'
import { Listeners } from './listeners.ts'
import type { BrokerLimits, BrokerOptions, TelemetryIntake } from './options.ts'
import { RareLog } from './rare-log.ts'
import { Retained } from './retained.ts'
import { Room } from './room.ts'
import type { Subscriber } from './session.ts'
import { FORGETFUL, type SessionStore } from './session-store.ts'
import { Sessions } from './sessions.ts'
import { Subscriptions } from './subscriptions.ts'
import { Writes } from './writes.ts'

/** @param options of now: a reload changes them */
export function putTogether<Route>(
  options: () => BrokerOptions,
  limits: BrokerLimits,
  intake: TelemetryIntake<Route>,
  { clock, log, sessions: kept }: BrokerContext,
) {
  const rareLog = new RareLog(clock, log)
  const counters = new Counters()
  const subscriptions = new Subscriptions()
  const authentication = new Authentication(clock, limits, undefined)
  const store: SessionStore = kept ?? FORGETFUL
  const promises = new Promises(intake, store)
  const writes = new Writes<Subscriber>(limits)
  const clients = new Clients<Route>({
    counters,
    rareLog,
    guard: () => guard,
    sessions: () => sessions,
    delivery: () => delivery,
  })
  const slow = (line: Subscriber) => clients.slow(line)
  const retained = new Retained(limits, counters, clock)
  const common = { clock, counters, limits, subscriptions, writes, store, slow }
  const delivery = new Delivery({ ...common, stalled: (line) => clients.stalled(line) })
  const shared = { ...common, delivery, retained, rareLog, options }
  const fanOut = new FanOut(shared)
  const sessions: Sessions = new Sessions({
    ...shared,
    sendWill: (will) =>
      sendWill(will, { ...shared, fanOut, take: (topic, payload, qos) => lane.takeWill(topic, payload, qos) }),
    receivedFrom: (client) => intake.receivedFrom(client),
    forget: (client) => intake.forget(client),
  })
  const guard: Guard<Route> = new Guard({
    ...shared,
    lane: () => lane,
    connect: (connection, connect) => handshake.begin(connection, connect),
    packet: (connection, type, reader) => desk.packet(connection, type, reader),
    disconnect: (connection, reader) => desk.disconnect(connection, reader),
    closed: (connection) => clients.closed(connection),
  })
  const room = new Room<Route>({ ...shared, intake, host: guard })
  const acknowledging = new Acknowledging<Route>({
    ...shared,
    intake,
    host: guard,
    noRoom: (connection) => room.wait(connection),
  })
  const lane: Lane<Route> = new Lane({
    ...shared,
    intake,
    acknowledging,
    room,
    fanOut,
    aliases: CLIENT_ALIASES,
    authorizePublish: (identity, topic) => options().authorizePublish?.(identity, topic) ?? true,
    denied: (connection, topic) => clients.denied(connection, topic),
    broken: (connection, error) => guard.broken(connection, error),
  })
  const desk = new Desk({
    ...shared,
    sessions,
    acknowledging,
    subscribed: (filter, identity) => clients.subscribed(filter, identity),
  })
  const handshake = new Handshake<Route>({
    ...shared,
    sessions,
    authentication,
    guard,
    log,
    find: (client) => clients.find(client),
    whenKept: (entry, session, callback) => promises.when(entry, session ? store.flush() : 0, callback),
    welcomed: (connection) => clients.welcomed(connection),
    resumed: (connection) => clients.resumed(connection),
  })
  const listeners = new Listeners({
    ...shared,
    admission: new Admission(clock, limits, counters, rareLog),
    receive(wire, arrival) {
      const connection = guard.open(wire, arrival)
      return {
        data: (chunk: Buffer) => guard.data(connection, chunk),
        hungUp: () => guard.hungUp(connection),
        gone: () => guard.gone(connection),
      }
    },
  })
  return {
    acknowledging,
    authentication,
    clients,
    counters,
    fanOut,
    guard,
    lane,
    listeners,
    retained,
    sessions,
    store,
    subscriptions,
  }
}
