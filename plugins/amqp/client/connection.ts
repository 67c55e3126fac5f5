/** One AMQP 1.0 connection to a peer, made once: the runtime reconnects, with its own back-off. */
import type { Connection, EventContext } from 'rhea'
import { NotConnectedError, reasonOf } from '../../../gateway/errors.ts'
import type { PluginContext } from '../../../gateway/plugin.ts'
import { readSecret, readTls } from '../../options.ts'
import type { BrokerConfig } from '../config.ts'
import { createDeadline } from '../deadline.ts'
import { loadRhea } from '../rhea.ts'

export interface Opened {
  readonly rhea: typeof import('rhea')
  readonly connection: Connection
}

/** Names the peer without the password that may stand in its URL. */
export function peerName({ url }: BrokerConfig): string {
  const { protocol, host } = new URL(url)
  return `${protocol}//${host}`
}

export function lostConnection(config: BrokerConfig, cause?: unknown): NotConnectedError {
  const why = cause ? `: ${reasonOf(cause)}` : ''
  return new NotConnectedError('SLUICE_AMQP_LOST', `connection to ${peerName(config)} was lost${why}`, { cause })
}

export function timedOut(config: BrokerConfig): NotConnectedError {
  return new NotConnectedError('SLUICE_AMQP_TIMEOUT', `${peerName(config)} did not answer in time`)
}

/**
 * @param broken is told when the connection is lost, also later
 * @throws NotConnectedError
 */
export async function openConnection(
  config: BrokerConfig,
  context: PluginContext,
  signal: AbortSignal,
  broken: (error: NotConnectedError) => void,
): Promise<Opened> {
  const given = await optionsOf(config, context)
  signal.throwIfAborted()
  const rhea = await loadRhea()
  const connection = rhea.create_container({ id: given.container_id }).create_connection(given)
  const deadline = createDeadline(context.clock, config.timeout, signal, () => timedOut(config))
  let up = false
  attend(connection, (cause) => {
    const error = lostConnection(config, cause)
    if (!up) deadline.end(unreachable(config, error))
    broken(error)
  })
  const open = new Promise<void>((resolve) => connection.on('connection_open', () => resolve()))
  connection.connect()
  try {
    await Promise.race([open, deadline.over])
    up = true
    return { rhea, connection }
  } catch (error) {
    drop(connection)
    throw error
  } finally {
    deadline.clear()
  }
}

async function optionsOf(config: BrokerConfig, context: PluginContext) {
  const url = new URL(config.url)
  const path = (relative: string) => context.path(relative)
  const secure = url.protocol === 'amqps:'
  const password =
    (await readSecret(config.password, config.passwordFile, path)) ??
    (url.password === '' ? undefined : decodeURIComponent(url.password))
  return {
    host: url.hostname.replace(/^\[|\]$/g, ''),
    port: Number(url.port) || (secure ? 5671 : 5672),
    ...(secure ? { transport: 'tls' as const, ...(await readTls(config.tls, path)) } : {}),
    username: config.username ?? (decodeURIComponent(url.username) || 'anonymous'),
    ...(password === undefined ? {} : { password }),
    container_id: `sluice-${context.gateway}-${context.name}`,
    idle_time_out: config.keepalive,
    reconnect: false,
    tcp_no_delay: true,
  }
}

function attend(connection: Connection, broken: (cause: unknown) => void): void {
  const quiet = () => {}
  // Without somebody who listens the library throws.
  for (const event of ['connection_error', 'sender_error', 'receiver_error', 'session_error', 'sender_close'])
    connection.on(event, quiet)
  for (const event of ['receiver_close', 'session_close']) connection.on(event, quiet)
  connection.on('connection_close', ({ error }: EventContext) => broken(error))
  connection.on('disconnected', ({ error }: EventContext) => broken(error))
  connection.on('protocol_error', broken)
  connection.on('error', broken)
}

function unreachable(config: BrokerConfig, cause: NotConnectedError): NotConnectedError {
  const name = peerName(config)
  if (/authenticat|sasl|unauthorized/i.test(cause.message))
    return new NotConnectedError('SLUICE_AMQP_CREDENTIALS', `${name} refuses our credentials`, { cause })
  return new NotConnectedError('SLUICE_AMQP_UNREACHABLE', `cannot connect to ${name}: ${cause.message}`, { cause })
}

/** Resolves when the peer has answered our farewell, or after `ms`. */
export async function endConnection(connection: Connection, context: PluginContext, ms: number): Promise<void> {
  const closed = new Promise<void>((resolve) => connection.once('connection_close', () => resolve()))
  connection.close()
  await Promise.race([closed, context.clock.sleep(ms)])
  drop(connection)
}

/** The library's own closing waits for the peer; its timers end with the socket. */
function drop(connection: Connection): void {
  const { socket } = connection as unknown as { readonly socket?: { destroy(): void; emit(event: string): void } }
  socket?.emit('end')
  socket?.destroy()
}
