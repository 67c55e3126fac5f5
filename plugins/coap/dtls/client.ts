/**
 * A DTLS 1.2 client for pre-shared keys, as a datagram transport over another: the other side of `server.ts`. A session
 * is made on request and then is a peer like any other. How it is made is in `client-handshake.ts`.
 *
 * It offers an empty Connection ID: it sends with the server's, and needs none in what it receives.
 */
import type { Clock } from '../../../gateway/plugin.ts'
import type { DatagramReceiver, DatagramTransport, Peer } from '../transport.ts'
import { type Credentials, createClientHandshakes } from './client-handshake.ts'
import { CLOSE_NOTIFY, Connection, createSecrets, FATAL, NO_RENEGOTIATION, WARNING } from './connection.ts'
import { HELLO_REQUEST } from './handshake.ts'
import { ALERT, APPLICATION_DATA, type DtlsRecord, HANDSHAKE, readRecord } from './record.ts'

export type { Credentials } from './client-handshake.ts'

export interface DtlsClientOptions {
  readonly clock: Clock
  readonly lower: DatagramTransport
  /** Starts the keys of its peers. */
  readonly name?: string
}

export interface DtlsClient extends DatagramTransport {
  /**
   * Makes a session with a server, in place of one there is.
   * @throws NotConnectedError when it does not answer or refuses
   */
  connect(server: Peer, credentials: Credentials, signal?: AbortSignal): Promise<Peer>
}

export function createDtlsClient({ clock, lower, name = 'dtls-client' }: DtlsClientOptions): DtlsClient {
  const handshakes = createClientHandshakes(clock)
  const sessions = new Map<string, Connection>()
  const secrets = createSecrets()
  let receiver: DatagramReceiver | undefined
  let born = 0

  function datagram(data: Buffer, from: Peer): void {
    for (let at = 0; at < data.length; ) {
      const record = readRecord(data, at, 0)
      if (!record) return
      at = record.end
      const attempt = handshakes.at(from.key)
      const session = sessions.get(from.key)
      if (record.epoch === 0 && attempt) handshakes.plain(attempt, record)
      else if (record.epoch === 1 && attempt?.connection.hasKeys) handshakes.finishing(attempt, record)
      else if (record.epoch === 1 && session) ofSession(session, record)
    }
  }

  /** In place of a session there was. */
  function opened(connection: Connection): void {
    const before = sessions.get(connection.lower.key)
    if (before) end(before)
    sessions.set(connection.lower.key, connection)
  }

  function ofSession(connection: Connection, record: DtlsRecord): void {
    const opened = connection.unprotect(record)
    if (typeof opened === 'string') return
    connection.seen(record)
    if (opened.type === APPLICATION_DATA) receiver?.datagram(opened.content, connection)
    else if (opened.type === HANDSHAKE && opened.content[0] === HELLO_REQUEST)
      connection.alert(WARNING, NO_RENEGOTIATION)
    else if (opened.type === ALERT && (opened.content[0] === FATAL || opened.content[1] === CLOSE_NOTIFY))
      end(connection)
  }

  function end(connection: Connection): void {
    connection.close()
    if (sessions.get(connection.lower.key) === connection) sessions.delete(connection.lower.key)
    receiver?.gone(connection)
  }

  const transport: DtlsClient = {
    get port() {
      return lower.port
    },
    attach(to) {
      receiver = to
      lower.attach({ datagram, gone() {}, moved() {} })
    },
    send(data, peer) {
      if (!(peer instanceof Connection) || peer.state !== 'open') return
      if (!peer.send(data)) end(peer)
    },
    connect(server, credentials, signal) {
      return new Promise((resolve, reject) => {
        const connection = new Connection(`${name}#${++born}`, transport, server, 0, secrets)
        connection.identity = credentials.identity
        const aborted = () => handshakes.fail(attempt, 'given up')
        const attempt = handshakes.begin(connection, credentials, (error) => {
          signal?.removeEventListener('abort', aborted)
          if (error) {
            reject(error)
            return
          }
          opened(connection)
          resolve(connection)
        })
        signal?.addEventListener('abort', aborted, { once: true })
        if (signal?.aborted) aborted()
      })
    },
    async close() {
      handshakes.failAll('closing')
      for (const connection of [...sessions.values()]) {
        connection.alert(WARNING, CLOSE_NOTIFY)
        end(connection)
      }
      await lower.close()
    },
  }
  return transport
}
