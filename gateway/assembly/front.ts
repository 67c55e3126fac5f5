/** The config in the words of the broker and the HTTP server, and where they listen. */
import { readFile } from 'node:fs/promises'
import type { BrokerOptions, TelemetryIntake } from '../broker/options.ts'
import { forgotten, markOf, STAGE as RECEIPTS, type ReceiptFact, type Receipts, released } from '../broker/receipts.ts'
import type { Clock } from '../clock.ts'
import { formatAddress } from '../config/address.ts'
import type { Loaded } from '../config/load.ts'
import { reasonOf, StartError } from '../errors.ts'
import type { Credential, Role } from '../http/access.ts'
import type { HttpServer } from '../http/server.ts'
import type { Intake, Origin, SourceState } from '../ingest/intake.ts'
import type { Journal } from '../journal/journal.ts'

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

/** Who may ask over HTTP. @throws StartError a token file cannot be used, or two have one token */
export async function httpCredentials({ config, resolve }: Loaded): Promise<Credential[]> {
  const { token, tokenFile, users } = config.http
  const credentials: Credential[] = []
  const add = async (name: string, role: Role, given: { token?: string; tokenFile?: string }) => {
    const own = given.tokenFile === undefined ? given.token : await readToken(resolve(given.tokenFile))
    if (own === undefined) return
    const other = credentials.find((one) => one.token === own)
    if (other) throw new StartError('SLUICE_TOKEN_TWICE', `http: ${name} and ${other.name} have the same token`)
    credentials.push({ name, role, token: own })
  }
  await add('operator', 'operator', {
    ...(token === undefined ? {} : { token }),
    ...(tokenFile === undefined ? {} : { tokenFile }),
  })
  for (const [name, { role, ...given }] of Object.entries(users)) await add(name, role, given)
  return credentials
}

async function readToken(path: string): Promise<string> {
  const text = await readFile(path, 'utf8').catch((error) => {
    throw new StartError('SLUICE_TOKEN_FILE', `http: cannot read ${path}: ${reasonOf(error)}`, { cause: error })
  })
  // An empty file must not open the gateway to everyone.
  if (!/^\S+$/.test(text.trim())) throw new StartError('SLUICE_TOKEN_FILE', `http: ${path} does not hold one token`)
  return text.trim()
}

/** The broker's lane into the journal. */
export function laneOf(
  intake: Intake,
  source: SourceState,
  journal: Journal,
  clock: Clock,
  receipts: Receipts,
): TelemetryIntake<Origin> {
  const { log } = journal
  const written = source.durability === 'interval'
  const note = (fact: ReceiptFact) => (intake.control({ type: 'fact', stage: RECEIPTS, fact }) ? journal.last : -1)
  /** Clients whose receipts are to be forgotten once there is room. */
  const forgetting = new Set<string>()
  intake.onRoom(() => {
    for (const client of forgetting) if (note(forgotten(client)) >= 0) forgetting.delete(client)
  })
  return {
    route(topic) {
      const origin = intake.origin(topic)
      return origin.route === null ? null : origin
    },
    take: (origin, chunk, start, end, qos, contentType, sender) =>
      intake.take(source, origin, chunk, start, end, contentType, clock.now(), qos > 0, sender && markOf(sender)),
    receivedFrom: (client) => receipts.of(client),
    release: (client, id) => (source.durability === 'none' ? 0 : note(released({ client, id }))),
    forget(client) {
      if (receipts.of(client).length === 0) return 0
      const entry = note(forgotten(client))
      if (entry < 0) forgetting.add(client)
      return Math.max(0, entry)
    },
    forgetOthers(clients) {
      for (const fact of receipts.others(clients)) note(fact)
    },
    get durable() {
      return written ? log.written : log.durable
    },
    onDurable: (listener) => (written ? log.onWritten(listener) : log.onDurable(listener)),
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
