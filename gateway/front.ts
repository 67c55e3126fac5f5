/** The config in the words of the broker and the HTTP server, and where they listen. */
import { readFile } from 'node:fs/promises'
import type { BrokerOptions, TelemetryIntake } from './broker/options.ts'
import type { Clock } from './clock.ts'
import { formatAddress } from './config/address.ts'
import type { Loaded } from './config/load.ts'
import { reasonOf, StartError } from './errors.ts'
import type { HttpServer } from './http/server.ts'
import type { Intake, Origin, SourceState } from './ingest/intake.ts'
import type { Journal } from './journal/journal.ts'

export function brokerOptions({ config, resolve }: Loaded): BrokerOptions {
  const { mqtt } = config
  const { tls, websocket, limits } = mqtt
  const web = websocket?.listen.map(formatAddress) ?? []
  const certificate =
    tls ?? (websocket?.tls && { ...websocket.tls, clientCertificates: 'none' as const, ca: undefined })
  return {
    listen: mqtt.listen.map(formatAddress),
    ...(tls ? { listenTls: tls.listen.map(formatAddress) } : {}),
    ...(websocket?.tls ? { listenWebSocketTls: web } : { listenWebSocket: web }),
    ...(certificate
      ? {
          tls: {
            cert: resolve(certificate.cert),
            key: resolve(certificate.key),
            clientCertificates: certificate.clientCertificates,
            ...(certificate.ca === undefined ? {} : { ca: resolve(certificate.ca) }),
          },
        }
      : {}),
    ...(mqtt.anonymous === undefined ? {} : { anonymous: mqtt.anonymous }),
    ...(mqtt.passwordFile === undefined ? {} : { passwordFile: resolve(mqtt.passwordFile) }),
    ...(mqtt.acl === undefined ? {} : { acl: mqtt.acl }),
    limits: {
      packet: limits.packet,
      connections: limits.connections,
      connectionsPerAddress: limits.perAddress,
      connectRate: limits.connectRate,
      subscriberQueue: limits.subscriberQueue,
      receiveMaximum: limits.receiveMaximum,
      sessions: limits.sessions,
      ...(limits.keepAlive === undefined ? {} : { keepalive: limits.keepAlive }),
      ...(limits.sessionExpiry === undefined ? {} : { sessionExpiry: limits.sessionExpiry / 1000 }),
    },
  }
}

/** @throws StartError the token file cannot be read */
export async function httpToken({ config, resolve }: Loaded): Promise<string | undefined> {
  const { token, tokenFile } = config.http
  if (tokenFile === undefined) return token
  const path = resolve(tokenFile)
  try {
    return (await readFile(path, 'utf8')).trim()
  } catch (error) {
    throw new StartError('SLUICE_TOKEN_FILE', `http: cannot read ${path}: ${reasonOf(error)}`, { cause: error })
  }
}

/** The broker's lane into the journal. */
export function laneOf(intake: Intake, source: SourceState, journal: Journal, clock: Clock): TelemetryIntake<Origin> {
  const written = source.durability === 'interval'
  return {
    route(topic) {
      const origin = intake.origin(topic)
      return origin.route === null ? null : origin
    },
    take: (origin, chunk, start, end, qos, contentType) =>
      intake.take(source, origin, chunk, start, end, contentType, clock.now(), qos > 0),
    get durable() {
      return written ? journal.written : journal.durable
    },
    onDurable: (listener) => (written ? journal.onWritten(listener) : journal.onDurable(listener)),
    onRoom: (listener) => intake.onRoom(listener),
    drop: () => intake.drop(source, clock.now()),
  }
}

export function httpOptions({ config, resolve }: Loaded) {
  const { listen, tls, maxBody } = config.http
  return {
    listen,
    maxBody,
    ...(tls ? { tls: { cert: resolve(tls.cert), key: resolve(tls.key) } } : {}),
  }
}

/** What the command line needs to find the gateway. */
export function runtimeOf(ports: Readonly<Record<string, number>>, http: HttpServer, secret: string, clock: Clock) {
  const [first] = http.addresses
  return {
    pid: process.pid,
    started: new Date(clock.now()).toISOString(),
    ports: { ...ports },
    ...(first
      ? {
          http: {
            address: first.host,
            port: first.port,
            secret,
            ...(http.fingerprint === undefined ? {} : { fingerprint: http.fingerprint }),
          },
        }
      : {}),
  }
}
