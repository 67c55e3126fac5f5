/** The ways in: TCP, TLS, WebSocket (MQTT 3.1.1 section 6), WebSocket over TLS. */
import { readFile } from 'node:fs/promises'
import { createServer as createHttpServer, type Server as HttpServer, type IncomingMessage } from 'node:http'
import { createServer as createHttpsServer } from 'node:https'
import { createServer, type Server, type Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import {
  createSecureContext,
  createServer as createTlsServer,
  type TlsOptions as NodeTls,
  TLSSocket,
  Server as TlsServer,
} from 'node:tls'
import { type WebSocket, WebSocketServer } from 'ws'
import { reasonOf, StartError } from '../errors.ts'
import { type Address, isLoopback, parseAddress, plainAddress } from './address.ts'
import type { Admission } from './admission.ts'
import type { Arrival, Wire } from './connection.ts'
import type { Counters } from './counters.ts'
import type { BrokerLimits, BrokerOptions, TlsOptions } from './options.ts'
import type { RareLog } from './rare-log.ts'
import { SocketWire, WebSocketWire } from './wires.ts'

/** Names of the ports in the ready line; a second address of a kind is `mqtt_2` and so on. */
export type BrokerPorts = Readonly<Record<string, number>>

/** What a listener does with a connection: called with its wire, it returns where bytes and the end of it go. */
export interface Reception {
  data(chunk: Buffer): void
  /** The peer sends nothing more. */
  hungUp(): void
  /** The socket is gone. */
  gone(): void
}

export interface Door {
  readonly limits: BrokerLimits
  readonly admission: Admission
  readonly counters: Counters
  readonly rareLog: RareLog
  options(): BrokerOptions
  receive(wire: Wire, arrival: Arrival): Reception
}

const HANDSHAKE_TIMEOUT = 10_000
const BACKLOG = 1024
/** For what comes before a WebSocket. */
const HTTP = {
  headersTimeout: HANDSHAKE_TIMEOUT,
  requestTimeout: HANDSHAKE_TIMEOUT,
  connectionsCheckingInterval: 2_000,
  noDelay: true,
  keepAlive: true,
}

export class Listeners {
  readonly #door: Door
  readonly #servers: Server[] = []

  constructor(door: Door) {
    this.#door = door
  }

  /** @throws StartError port in use, address not ours, certificate unreadable; nothing listens then */
  async open(): Promise<BrokerPorts> {
    const options = this.#door.options()
    const secure = options.listenTls?.length || options.listenWebSocketTls?.length
    const tls = secure ? await readTls(options.tls) : {}
    const ports: Record<string, number> = {}
    const kinds: [string, readonly string[] | undefined, (loopback: boolean) => Server][] = [
      ['mqtt', options.listen, (loopback) => this.#plain(loopback)],
      ['mqtts', options.listenTls, (loopback) => this.#secure(loopback, tls)],
      ['ws', options.listenWebSocket, (loopback) => this.#web(createHttpServer(HTTP), loopback)],
      ['wss', options.listenWebSocketTls, (loopback) => this.#web(createHttpsServer({ ...tls, ...HTTP }), loopback)],
    ]
    try {
      for (const [kind, addresses, create] of kinds)
        for (const [index, text] of (addresses ?? []).entries()) {
          const address = parseAddress(text)
          const server = create(isLoopback(address.host))
          this.#servers.push(server)
          ports[index === 0 ? kind : `${kind}_${index + 1}`] = await listen(server, address)
        }
    } catch (error) {
      await this.close()
      throw error
    }
    return ports
  }

  /** No new connections; those that are there stay. */
  async close(): Promise<void> {
    const servers = this.#servers.splice(0)
    for (const server of servers) if (server.listening) server.close()
  }

  /** Certificates may have been renewed. @throws StartError and keeps the old ones */
  async reload(options: TlsOptions | undefined): Promise<void> {
    const secure = this.#servers.filter((server) => server instanceof TlsServer)
    if (secure.length === 0) return
    const tls = await readTls(options)
    for (const server of secure) server.setSecureContext(tls)
  }

  #plain(loopback: boolean): Server {
    const server = createServer({ noDelay: true, keepAlive: true, keepAliveInitialDelay: 60_000 })
    server.on('connection', (socket: Socket) => {
      if (!this.#admit(socket)) return
      this.#receiveSocket(socket, this.#arrival(socket, loopback))
    })
    return server
  }

  #secure(loopback: boolean, tls: NodeTls): Server {
    const server = createTlsServer({ ...tls, handshakeTimeout: HANDSHAKE_TIMEOUT, noDelay: true, keepAlive: true })
    server.on('connection', (socket: Socket) => this.#admit(socket))
    server.on('tlsClientError', (error, socket) => this.#noHandshake(error, socket))
    server.on('secureConnection', (socket: TLSSocket) => {
      socket.on('error', ignore)
      if (this.#isCertificateBad(socket)) socket.destroy()
      else this.#receiveSocket(socket, this.#arrival(socket, loopback))
    })
    return server
  }

  #web(server: HttpServer, loopback: boolean): HttpServer {
    const sockets = new WebSocketServer({
      noServer: true,
      perMessageDeflate: false,
      maxPayload: Math.max(this.#door.limits.packet, 64 * 1024) + 16,
      handleProtocols: (offered) => (offered.has('mqtt') ? 'mqtt' : offered.has('mqttv3.1') ? 'mqttv3.1' : false),
    })
    server.on('connection', (socket: Socket) => this.#admit(socket))
    server.on('tlsClientError', (error, socket) => this.#noHandshake(error, socket))
    server.on('request', (_request, response) => {
      response.writeHead(426, { Upgrade: 'websocket', Connection: 'close' }).end()
    })
    server.on('upgrade', (request: IncomingMessage, socket: Duplex, head: Buffer) => {
      socket.on('error', ignore)
      const tls = socket instanceof TLSSocket
      if ((tls && this.#isCertificateBad(socket)) || !speaksMqtt(request)) {
        socket.destroy()
        return
      }
      const arrival = this.#arrival(request.socket, loopback)
      sockets.handleUpgrade(request, socket, head, (webSocket) => this.#receiveWebSocket(webSocket, arrival))
    })
    return server
  }

  #receiveSocket(socket: Socket, arrival: Arrival): void {
    const wire = new SocketWire(socket)
    const reception = this.#door.receive(wire, arrival)
    wire.read((chunk) => reception.data(chunk))
    socket.on('end', () => reception.hungUp())
    socket.on('close', () => reception.gone())
    socket.on('error', ignore)
  }

  #receiveWebSocket(socket: WebSocket, arrival: Arrival): void {
    const reception = this.#door.receive(new WebSocketWire(socket), arrival)
    socket.on('message', (message, isBinary) => {
      // MQTT-6.0.0-1
      if (isBinary && Buffer.isBuffer(message)) reception.data(message)
      else socket.terminate()
    })
    socket.on('close', () => reception.gone())
    socket.on('error', ignore)
  }

  #admit(socket: Socket): boolean {
    const address = plainAddress(socket.remoteAddress)
    socket.on('error', ignore)
    if (!this.#door.admission.enter(address)) {
      socket.destroy()
      return false
    }
    socket.once('close', () => this.#door.admission.leave(address))
    return true
  }

  #arrival(socket: Socket, loopback: boolean): Arrival {
    const certificateUser = socket instanceof TLSSocket ? commonName(socket) : undefined
    return {
      address: plainAddress(socket.remoteAddress),
      certificateUser,
      mayBeAnonymous: isAnonymousAllowed(this.#door.options(), loopback),
    }
  }

  /** With optional certificates a bad one is refused, not ignored. */
  #isCertificateBad(socket: TLSSocket): boolean {
    const wanted = this.#door.options().tls?.clientCertificates ?? 'none'
    if (wanted === 'none') return false
    const shown = Object.keys(socket.getPeerCertificate() ?? {}).length > 0
    const bad = shown ? !socket.authorized || commonName(socket) === undefined : wanted === 'required'
    if (bad) this.#refuse(socket, 'client_certificate', certificateTrouble(socket, shown))
    return bad
  }

  /** Who only looks whether the port is open says nothing and is not spoken of. */
  #noHandshake(error: NodeJS.ErrnoException & { reason?: string }, socket: TLSSocket): void {
    if (error.code === 'ECONNRESET') this.#door.counters.refuse('tls')
    else this.#refuse(socket, 'tls', error.reason ?? reasonOf(error))
  }

  #refuse(socket: TLSSocket, reason: string, error: string): void {
    const address = plainAddress(socket.remoteAddress)
    this.#door.counters.refuse(reason)
    this.#door.rareLog.warn(`${reason} ${address}`, { reason, address, error }, 'mqtt client refused')
  }
}

/** Unless said otherwise: on loopback, while there are no credentials to ask for. */
function isAnonymousAllowed(options: BrokerOptions, loopback: boolean): boolean {
  return options.anonymous ?? (loopback && options.passwordFile === undefined)
}

function certificateTrouble(socket: TLSSocket, shown: boolean): string {
  if (!shown) return 'it shows no certificate'
  return socket.authorized ? 'its certificate has no common name' : String(socket.authorizationError)
}

function ignore(): void {}

function speaksMqtt(request: IncomingMessage): boolean {
  const offered = (request.headers['sec-websocket-protocol'] ?? '').split(',').map((name) => name.trim())
  return offered.includes('mqtt') || offered.includes('mqttv3.1')
}

function commonName(socket: TLSSocket): string | undefined {
  if (!socket.authorized) return undefined
  const name = socket.getPeerCertificate()?.subject?.CN
  return typeof name === 'string' && name.length > 0 ? name : undefined
}

async function readTls(tls: TlsOptions | undefined): Promise<NodeTls> {
  if (!tls)
    throw new StartError('SLUICE_CERT_UNREADABLE', 'a TLS listener needs a certificate: set mqtt.tls cert and key')
  const ask = tls.clientCertificates !== 'none'
  if (ask && tls.ca === undefined)
    throw new StartError('SLUICE_CERT_UNREADABLE', 'client certificates need the authority that signs them: set ca')
  const options: NodeTls = {
    cert: await readPem(tls.cert),
    key: await readPem(tls.key),
    ...(tls.ca === undefined ? {} : { ca: await readPem(tls.ca) }),
    minVersion: 'TLSv1.2',
    requestCert: ask,
    rejectUnauthorized: tls.clientCertificates === 'required',
  }
  try {
    createSecureContext(options)
  } catch (error) {
    const message = `certificate ${tls.cert} and key ${tls.key} cannot be used: ${reasonOf(error)}`
    throw new StartError('SLUICE_CERT_UNREADABLE', message, { cause: error })
  }
  return options
}

async function readPem(file: string): Promise<Buffer> {
  try {
    return await readFile(file)
  } catch (error) {
    throw new StartError('SLUICE_CERT_UNREADABLE', `cannot read certificate file ${file}: ${reasonOf(error)}`, {
      cause: error,
    })
  }
}

const LISTEN_ERRORS: Readonly<Record<string, readonly [string, string]>> = {
  EADDRINUSE: ['SLUICE_PORT_IN_USE', 'the port is in use; is another broker or gateway running?'],
  EADDRNOTAVAIL: ['SLUICE_ADDRESS', 'this machine has no such address'],
  ENOTFOUND: ['SLUICE_ADDRESS', 'no such host name'],
  EACCES: ['SLUICE_PORT_DENIED', 'not permitted; ports below 1024 need a privilege'],
}

function listen(server: Server, { host, port }: Address): Promise<number> {
  return new Promise((resolve, reject) => {
    server.once('error', (error: NodeJS.ErrnoException) => {
      const [code, hint] = LISTEN_ERRORS[error.code ?? ''] ?? ['SLUICE_LISTEN', error.message]
      reject(new StartError(code, `cannot listen on ${host}:${port}: ${hint}`, { cause: error }))
    })
    server.listen({ host, port, backlog: BACKLOG }, () => {
      server.removeAllListeners('error')
      server.on('error', ignore)
      const bound = server.address()
      resolve(typeof bound === 'object' && bound ? bound.port : port)
    })
  })
}
