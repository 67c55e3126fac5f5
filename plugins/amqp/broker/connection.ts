/** One AMQP 0-9-1 connection, made once: the runtime reconnects, with its own back-off. */
import type { ChannelModel } from 'amqplib'
import { NotConnectedError, reasonOf } from '../../../gateway/errors.ts'
import type { PluginContext } from '../../../gateway/plugin.ts'
import { readSecret, readTls } from '../../options.ts'
import type { BrokerConfig } from '../config.ts'
import { createDeadline } from '../deadline.ts'

/** Names the broker without the password that may stand in its URL. */
export function brokerName({ url }: BrokerConfig): string {
  const { protocol, host, pathname } = new URL(url)
  return `${protocol}//${host}${pathname}`
}

/**
 * @param role told to the broker, for its operators
 * @throws NotConnectedError
 */
export async function openConnection(
  config: BrokerConfig,
  context: PluginContext,
  role: string,
  signal: AbortSignal,
): Promise<ChannelModel> {
  const path = (relative: string) => context.path(relative)
  const url = new URL(config.url)
  const password = await readSecret(config.password, config.passwordFile, path)
  const secure = url.protocol === 'amqps:' ? await readTls(config.tls, path) : {}
  if (!url.searchParams.has('heartbeat')) url.searchParams.set('heartbeat', String(Math.ceil(config.keepalive / 1000)))
  signal.throwIfAborted()
  // Loaded when it is needed, to keep a gateway without it small.
  const { connect, credentials } = await import('amqplib')
  const user = config.username ?? (decodeURIComponent(url.username) || 'guest')
  const given = password ?? (url.password === '' ? 'guest' : decodeURIComponent(url.password))
  const opening = connect(url.href, {
    ...secure,
    noDelay: true,
    timeout: config.timeout,
    credentials: credentials.plain(user, given),
    clientProperties: { connection_name: `sluice ${context.gateway} ${context.name} ${role}` },
  }) as Promise<ChannelModel>
  const late = () => new NotConnectedError('SLUICE_AMQP_TIMEOUT', `broker ${brokerName(config)} did not answer in time`)
  const deadline = createDeadline(context.clock, config.timeout, signal, late)
  try {
    const model = await Promise.race([opening, deadline.over])
    // Errors also come when nobody waits any more, and would end the process; a close follows each of them.
    model.on('error', () => {})
    return model
  } catch (cause) {
    opening.then(endConnection, () => {})
    if (signal.aborted || cause instanceof NotConnectedError) throw cause
    throw unreachable(config, cause)
  } finally {
    deadline.clear()
  }
}

function unreachable(config: BrokerConfig, cause: unknown): NotConnectedError {
  const text = reasonOf(cause)
  if (/ACCESS.REFUSED|\b403\b/i.test(text))
    return new NotConnectedError('SLUICE_AMQP_CREDENTIALS', `broker ${brokerName(config)} refuses our credentials`, {
      cause,
    })
  return new NotConnectedError('SLUICE_AMQP_UNREACHABLE', `cannot connect to broker ${brokerName(config)}: ${text}`, {
    cause,
  })
}

/** @returns the connection was lost, for the runtime */
export function lostConnection(config: BrokerConfig, cause?: unknown): NotConnectedError {
  const why = cause === undefined ? '' : `: ${reasonOf(cause)}`
  return new NotConnectedError('SLUICE_AMQP_LOST', `connection to broker ${brokerName(config)} was lost${why}`, {
    cause,
  })
}

/** Ends a connection in whatever state it is. */
export async function endConnection(model: ChannelModel): Promise<void> {
  model.on('error', () => {})
  try {
    await model.close()
  } catch {
    // It was closed already.
  }
}

/** `endConnection` that does not wait for a broker that hangs longer than `ms`. */
export async function endWithin(model: ChannelModel, context: PluginContext, ms: number): Promise<void> {
  await new Promise<void>((resolve) => {
    const timer = context.clock.after(ms, resolve)
    endConnection(model).then(() => {
      timer.cancel()
      resolve()
    })
  })
}
