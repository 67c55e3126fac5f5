/** What the broker is told, and what it tells: options, limits, identities, the intake of telemetry. */
import type { AclRule } from './acl.ts'

/** Durations in ms, sizes in bytes. */
export interface BrokerLimits {
  /** Largest packet, header included. */
  readonly packet: number
  /** Simultaneous connections, all addresses. */
  readonly connections: number
  /** Simultaneous connections from one address. */
  readonly connectionsPerAddress: number
  /** New connections per second, all addresses; bursts of one second's worth are let through. */
  readonly connectRate: number
  /** From the TCP connection to a CONNECT that was accepted. ms */
  readonly connectTimeout: number
  /** Failed log-ins per address and minute before further attempts are refused unseen. */
  readonly failedLogins: number
  /** PUBLISH packets of one connection that wait for their acknowledgement; beyond, it is not read. */
  readonly unacknowledged: number
  /** Likewise for clients of MQTT 5, which are told, and disconnected when they send more. */
  readonly receiveMaximum: number
  /** Bytes waiting for one subscriber beyond which QoS 0 messages to it are dropped; at eight times that it is disconnected. */
  readonly subscriberQueue: number
  readonly subscriptionsPerClient: number
  /** Persistent sessions; the one that has been offline longest goes first. */
  readonly sessions: number
  /** Messages kept for one persistent session; the oldest go first. */
  readonly sessionMessages: number
  readonly sessionBytes: number
  /** All sessions together. */
  readonly queuedBytes: number
  /** How long a session may outlive its connection, s. */
  readonly sessionExpiry: number
  /** Longest keep alive, ms; clients of MQTT 5 are told. */
  readonly keepalive: number
  readonly retainedMessages: number
  readonly retainedBytes: number
  /** Distinct topics remembered. */
  readonly topics: number
}

export const DEFAULT_LIMITS: BrokerLimits = {
  packet: 1024 * 1024,
  connections: 20_000,
  connectionsPerAddress: 200,
  connectRate: 5_000,
  connectTimeout: 10_000,
  failedLogins: 10,
  unacknowledged: 65_535,
  receiveMaximum: 1_000,
  subscriberQueue: 1024 * 1024,
  subscriptionsPerClient: 1_000,
  sessions: 10_000,
  sessionMessages: 10_000,
  sessionBytes: 8 * 1024 * 1024,
  queuedBytes: 64 * 1024 * 1024,
  sessionExpiry: Infinity,
  keepalive: Infinity,
  retainedMessages: 100_000,
  retainedBytes: 64 * 1024 * 1024,
  topics: 200_000,
}

export interface TlsOptions {
  /** Files in PEM. */
  readonly cert: string
  readonly key: string
  /** Authorities that sign client certificates; needed unless `clientCertificates` is `none`. */
  readonly ca?: string
  /** With a certificate, the user is its common name. */
  readonly clientCertificates: 'none' | 'optional' | 'required'
}

export interface BrokerOptions {
  /** Addresses as `host:port`, `[v6]:port` or `port`; port 0 picks a free one. */
  readonly listen: readonly string[]
  readonly listenTls?: readonly string[]
  readonly listenWebSocket?: readonly string[]
  readonly listenWebSocketTls?: readonly string[]
  readonly tls?: TlsOptions
  /** undefined: allowed on loopback while no credentials are configured. */
  readonly anonymous?: boolean
  /** Lines of `user:scrypt$N$r$p$salt$hash`, see passwords.ts. Read again when it changes. */
  readonly passwordFile?: string
  /** undefined: whoever got in may do everything. */
  readonly acl?: readonly AclRule[]
  readonly limits?: Partial<BrokerLimits>
  /** A further check of who may publish what, after the ACL. Its answers are remembered per connection and topic. */
  authorizePublish?(identity: Identity, topic: string): boolean
}

/** Who is at the other end. */
export interface Identity {
  readonly client: string
  /** Undefined: anonymous. */
  readonly user: string | undefined
  readonly address: string
}

/** Of a QoS 2 message: who sent it, and its packet id, by which it is known when it is sent again. */
export interface Sender {
  readonly client: string
  readonly id: number
}

/** Where telemetry goes; what is not telemetry is ordinary broker traffic. */
export interface TelemetryIntake<Route> {
  /** Called once per distinct topic. null: ordinary traffic. */
  route(topic: string): Route | null
  /**
   * The payload is `chunk[start, end)`, valid only during the call. `sender` is kept with it. Returns an entry number > 0: acknowledge when
   * `durable` has reached it; 0: taken, acknowledge now; -1: no room, not taken, stop reading until `onRoom`.
   */
  take(
    route: Route,
    chunk: Buffer,
    start: number,
    end: number,
    qos: number,
    contentType?: string,
    sender?: Sender,
  ): number
  readonly durable: number
  onDurable(listener: (durable: number) => void): void
  onRoom(listener: () => void): void
  /** Packet ids of QoS 2 messages that were taken from this client and not released, from before a restart too. */
  receivedFrom(client: string): readonly number[]
  /** The client has released a message: its id is free when `durable` has reached the entry returned; -1: no room now. */
  release(client: string, id: number): number
  /** The client begins anew: all its ids are free; as above, but never -1. */
  forget(client: string): number
  /** All others have no session any more. */
  forgetOthers(clients: Iterable<string>): void
  /** A QoS 0 message was given up because there was no room for five seconds. */
  drop(route: Route, bytes: number): void
}
