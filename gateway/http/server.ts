/** Listens. One application may listen on several addresses; each has its own server with the same limits. */
import { createHash, X509Certificate } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { createServer, type RequestListener, type Server } from 'node:http'
import { createServer as createTlsServer } from 'node:https'
import type { AddressInfo } from 'node:net'
import type { Duplex } from 'node:stream'
import { createSecureContext } from 'node:tls'
import type { Clock } from '../clock.ts'
import { reasonOf, StartError } from '../errors.ts'
import type { PluginLog } from '../plugin.ts'
import type { Credential } from './access.ts'
import type { Api } from './api.ts'
import { createApp } from './app.ts'
import { parserFailure } from './failures.ts'
import type { Dashboard } from './parts.ts'
import { createPulse } from './pulse.ts'
import { createTrends } from './trends.ts'

export interface Listen {
  readonly host: string
  /** 0 picks a free one. */
  readonly port: number
}

export interface HttpOptions {
  readonly listen: readonly Listen[]
  /** Asked at each request, so that a reload takes effect. */
  readonly credentials: () => readonly Credential[]
  /** Lets the local command line in; random, in runtime.json. */
  readonly secret: string
  /** Files, PEM. */
  readonly tls?: { readonly cert: string; readonly key: string }
  /** Largest body, bytes; default 1 MiB. */
  readonly maxBody?: number
  /** Largest number of connections; default 1024. */
  readonly maxConnections?: number
  /** How long a stage with work may make no progress until `/healthz` says so, ms; default 30 s. */
  readonly patience?: number
}

export interface HttpParts {
  readonly options: HttpOptions
  readonly api: Api
  readonly clock: Clock
  readonly log: PluginLog
  readonly dashboard?: Dashboard | undefined
}

export interface HttpServer {
  /** Where it listens, in the order of `options.listen`. */
  readonly addresses: readonly Listen[]
  /** SHA-256 of the TLS certificate, hexadecimal; undefined without TLS. */
  readonly fingerprint: string | undefined
  /** Ends event streams, lets requests in flight finish for a second, then closes what is left. */
  stop(): Promise<void>
}

/** Slowest that a request may arrive: its head, and the whole of it, ms. */
const HEADERS_TIMEOUT = 10_000
const REQUEST_TIMEOUT = 30_000
const KEEP_ALIVE = 65_000
/** A connection on which nothing moves, in either direction, ms. Event streams move: they have heartbeats. */
const IDLE = 120_000
const GRACE = 1000

/** @throws StartError a port is in use or refused, or a certificate cannot be read */
export async function startHttp(parts: HttpParts): Promise<HttpServer> {
  const { options, clock } = parts
  const tls = options.tls && readTls(options.tls)
  const pulse = createPulse(clock, () => parts.api.numbers(), options.patience)
  const trends = createTrends(clock, () => parts.api.outbox())
  const app = await createApp({
    api: parts.api,
    access: {
      credentials: options.credentials,
      secret: options.secret,
      hosts: options.listen.map((listen) => listen.host),
    },
    clock,
    log: parts.log,
    pulse,
    trends,
    maxBody: options.maxBody ?? 1024 * 1024,
    dashboard: parts.dashboard,
  })
  const servers: Server[] = []
  const stop = async () => {
    pulse.stop()
    trends.stop()
    const gone = Promise.all(servers.map(closed))
    await app.close()
    for (const server of servers) server.closeIdleConnections()
    const cut = clock.after(GRACE, () => {
      for (const server of servers) server.closeAllConnections()
    })
    await gone
    cut.cancel()
  }
  try {
    for (const listen of options.listen) servers.push(await openServer(app.routing, listen, tls, options))
  } catch (error) {
    await stop()
    throw error
  }
  return { addresses: servers.map(addressOf), fingerprint: tls?.fingerprint, stop }
}

interface Tls {
  readonly cert: Buffer
  readonly key: Buffer
  readonly fingerprint: string
}

function readTls(files: { cert: string; key: string }): Tls {
  const cert = readPem(files.cert)
  const key = readPem(files.key)
  try {
    createSecureContext({ cert, key })
    const fingerprint = createHash('sha256').update(new X509Certificate(cert).raw).digest('hex')
    return { cert, key, fingerprint }
  } catch (error) {
    const message = `http: certificate ${files.cert} and key ${files.key} cannot be used: ${reasonOf(error)}`
    throw new StartError('SLUICE_CERT_UNREADABLE', message, { cause: error })
  }
}

function readPem(file: string): Buffer {
  try {
    return readFileSync(file)
  } catch (error) {
    const message = `http: cannot read certificate file ${file}: ${reasonOf(error)}`
    throw new StartError('SLUICE_CERT_UNREADABLE', message, { cause: error })
  }
}

function openServer(routing: RequestListener, listen: Listen, tls: Tls | undefined, options: HttpOptions) {
  const server = createLimited(routing, tls)
  server.maxConnections = options.maxConnections ?? 1024
  server.on('clientError', answerParserFailure)
  return new Promise<Server>((resolve, reject) => {
    server.once('error', (error) => reject(listenFailure(listen, error)))
    server.listen({ host: listen.host, port: listen.port }, () => {
      // Once it listens, what fails is one connection, e.g. for want of descriptors; the peer tries again.
      server.on('error', () => undefined)
      resolve(server)
    })
  })
}

function createLimited(routing: RequestListener, tls: Tls | undefined): Server {
  const limits = {
    maxHeaderSize: 16 * 1024,
    headersTimeout: HEADERS_TIMEOUT,
    requestTimeout: REQUEST_TIMEOUT,
    keepAliveTimeout: KEEP_ALIVE,
    connectionsCheckingInterval: 5000,
    noDelay: true,
  }
  const server = tls
    ? createTlsServer({ ...limits, cert: tls.cert, key: tls.key, minVersion: 'TLSv1.2' }, routing)
    : createServer(limits, routing)
  server.setTimeout(IDLE)
  return server
}

function answerParserFailure(error: NodeJS.ErrnoException, socket: Duplex): void {
  if (error.code === 'ECONNRESET' || !socket.writable) socket.destroy()
  else socket.end(parserFailure(error.code), () => socket.destroy())
}

const LISTEN_FAILURES: Readonly<Record<string, readonly [code: string, hint: string]>> = {
  EADDRINUSE: ['SLUICE_PORT_IN_USE', 'the port is in use; is another gateway running?'],
  EADDRNOTAVAIL: ['SLUICE_ADDRESS', 'this machine has no such address'],
  ENOTFOUND: ['SLUICE_ADDRESS', 'no such host name'],
  EACCES: ['SLUICE_PORT_DENIED', 'not permitted; ports below 1024 need a privilege'],
}

function listenFailure({ host, port }: Listen, error: NodeJS.ErrnoException): StartError {
  const [code, hint] = LISTEN_FAILURES[error.code ?? ''] ?? ['SLUICE_LISTEN', error.message]
  return new StartError(code, `http: cannot listen on ${host}:${port}: ${hint}`, { cause: error })
}

function addressOf(server: Server): Listen {
  const { address, port } = server.address() as AddressInfo
  return { host: address, port }
}

/** Resolves when the server and the last of its connections are gone. */
function closed(server: Server): Promise<void> {
  return new Promise((resolve) => server.close(() => resolve()))
}
