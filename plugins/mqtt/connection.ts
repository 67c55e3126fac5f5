/** One connection to a broker, made once: the runtime reconnects, with its own back-off. */
import type { IClientOptions, MqttClient } from 'mqtt'
import { NotConnectedError } from '../../gateway/errors.ts'
import type { PluginContext } from '../../gateway/plugin.ts'
import { readSecret, readTls } from '../options.ts'
import type { MqttConfig } from './config.ts'

export interface Session {
  readonly clientId: string
  /** False: the broker keeps subscriptions and messages while we are away. */
  readonly clean: boolean
}

export interface Connection {
  readonly client: MqttClient
  /** The broker still knew this client. */
  readonly resumed: boolean
  /** Largest packet the broker takes, bytes. */
  readonly maximumPacket: number
}

/**
 * @param attach is given the client before anything arrives
 * @throws NotConnectedError
 */
export async function openConnection(
  config: MqttConfig,
  context: PluginContext,
  session: Session,
  signal: AbortSignal,
  attach?: (client: MqttClient) => void,
): Promise<Connection> {
  const options = await clientOptions(config, context, session)
  signal.throwIfAborted()
  // Loaded when it is needed: it takes 12 MB.
  const [{ connect }, { default: packets }] = await Promise.all([import('mqtt'), import('mqtt-packet')])
  // It would prepare 65,536 buffers, 12 MB, for packet ids that are seldom written here.
  packets.writeToStream.cacheNumbers = false
  const client = connect(options)
  attach?.(client)
  // Errors also come when nobody waits any more, and would end the process.
  client.on('error', () => {})
  return new Promise((resolve, reject) => {
    let last: Error | undefined
    const settle = (finish: () => void) => {
      timer.cancel()
      signal.removeEventListener('abort', aborted)
      client.off('close', closed)
      finish()
    }
    const fail = (error: unknown) =>
      settle(() => {
        client.end(true)
        reject(error)
      })
    const aborted = () => fail(signal.reason)
    const closed = () => fail(unreachable(config, last))
    const timer = context.clock.after(config.timeout, () =>
      fail(new NotConnectedError('SLUICE_MQTT_TIMEOUT', `broker ${config.url} did not answer in time`)),
    )
    signal.addEventListener('abort', aborted, { once: true })
    client.on('close', closed)
    client.on('error', (error) => {
      last = error
      if (reasonCode(error) !== undefined) fail(unreachable(config, error))
    })
    client.once('connect', (packet) =>
      settle(() =>
        resolve({
          client,
          resumed: packet.sessionPresent,
          maximumPacket: packet.properties?.maximumPacketSize ?? Number.POSITIVE_INFINITY,
        }),
      ),
    )
  })
}

async function clientOptions(config: MqttConfig, context: PluginContext, session: Session): Promise<IClientOptions> {
  const path = (relative: string) => context.path(relative)
  const password = await readSecret(config.password, config.passwordFile, path)
  const address = addressOf(config.url)
  const secure = /^(mqtts|wss)$/.test(address.protocol) ? await readTls(config.tls, path) : {}
  return {
    ...address,
    ...secure,
    clientId: session.clientId,
    clean: session.clean,
    protocolVersion: config.protocol === '5' ? 5 : 4,
    ...(config.protocol === '5' && !session.clean ? { properties: { sessionExpiryInterval: 0xffff_ffff } } : {}),
    ...(config.username === undefined ? {} : { username: config.username }),
    ...(password === undefined ? {} : { password }),
    keepalive: Math.round(config.keepalive / 1000),
    connectTimeout: config.timeout,
    reconnectPeriod: 0,
    resubscribe: false,
    queueQoSZero: false,
  }
}

/** The library would read a URL with Node's old parser, which warns that it is old. */
function addressOf(text: string) {
  const { protocol, hostname, port, pathname, search, username, password } = new URL(text)
  const web = protocol.startsWith('ws')
  // In a URL an IPv6 address has brackets, at a socket it has none.
  const host = web ? hostname : hostname.replace(/^\[|\]$/g, '')
  return {
    protocol: protocol.slice(0, -1) as 'mqtt' | 'mqtts' | 'ws' | 'wss',
    host,
    hostname: host,
    ...(port === '' ? {} : { port: Number(port) }),
    ...(web ? { path: pathname + search } : {}),
    ...(username === '' ? {} : { username: decodeURIComponent(username) }),
    ...(password === '' ? {} : { password: decodeURIComponent(password) }),
  }
}

/** CONNACK return codes of MQTT 3.1.1 (table 3.1) and reason codes of MQTT 5 (3.2.2.2) about credentials. */
const CREDENTIALS = [4, 5, 0x86, 0x87, 0x8c]

function unreachable(config: MqttConfig, cause: Error | undefined): NotConnectedError {
  const code = cause && reasonCode(cause)
  if (code !== undefined && CREDENTIALS.includes(code))
    return new NotConnectedError('SLUICE_MQTT_CREDENTIALS', `broker ${config.url} refuses our credentials`, { cause })
  if (code !== undefined)
    return new NotConnectedError('SLUICE_MQTT_REFUSED', `broker ${config.url} refuses us: ${cause?.message}`, { cause })
  const why = cause?.message ? `: ${cause.message}` : ''
  return new NotConnectedError('SLUICE_MQTT_UNREACHABLE', `cannot connect to broker ${config.url}${why}`, { cause })
}

/** The broker's answer in an error of the client; undefined for errors of the network. */
export function reasonCode(error: Error): number | undefined {
  const { code } = error as { code?: unknown }
  return typeof code === 'number' ? code : undefined
}

/** Ends a connection: with DISCONNECT when it stands, in bounded time in any case. */
export function endConnection(client: MqttClient, context: PluginContext): Promise<void> {
  return new Promise((resolve) => {
    const timer = context.clock.after(500, () => {
      client.end(true)
      resolve()
    })
    const done = () => {
      timer.cancel()
      resolve()
    }
    if (client.connected) client.end(false, {}, done)
    else client.end(true, {}, done)
  })
}
