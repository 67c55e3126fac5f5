/** Sends batches over AMQP 1.0. What the receiver accepted it has. */
import type { Connection, Delivery, EventContext, Sender } from 'rhea'
import { NotConnectedError, RefusedError, reasonOf } from '../../gateway/errors.ts'
import type { PluginContext, Sink } from '../../gateway/plugin.ts'
import { readSecret, readTls } from '../options.ts'
import type { BrokerConfig } from './config.ts'
import { createDeadline, type Deadline } from './deadline.ts'
import { type Publish, publishBatch } from './publish.ts'
import { loadRhea } from './rhea.ts'

/** Links that stay open, one per address. */
const MAX_LINKS = 64

interface Link {
  readonly rhea: typeof import('rhea')
  readonly connection: Connection
  readonly senders: Map<string, Sender>
  readonly waiting: Map<Delivery, { resolve(): void; reject(error: Error): void }>
  /** Ends what is being written. */
  writing: Deadline | undefined
}

export function createSender(config: BrokerConfig, context: PluginContext): Sink {
  const url = new URL(config.url)
  const name = `${url.protocol}//${url.host}`
  const listeners = new Set<(reason: Error) => void>()
  let link: Link | undefined

  const lost = (cause?: unknown) =>
    new NotConnectedError('SLUICE_AMQP_LOST', `connection to ${name} was lost${cause ? `: ${reasonOf(cause)}` : ''}`, {
      cause,
    })

  const timedOut = () => new NotConnectedError('SLUICE_AMQP_TIMEOUT', `${name} did not answer in time`)

  const options = async () => {
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

  const settle = (to: Link, { delivery }: EventContext, finish: (waiting: Waiting) => void) => {
    const waiting = delivery && to.waiting.get(delivery)
    if (!waiting) return
    to.waiting.delete(delivery)
    finish(waiting)
  }

  const attend = (to: Link, broken: (error: NotConnectedError) => void) => {
    const { connection } = to
    const quiet = () => {}
    for (const event of ['connection_error', 'sender_error', 'session_error', 'sender_close', 'session_close'])
      connection.on(event, quiet)
    connection.on('accepted', (event: EventContext) => settle(to, event, ({ resolve }) => resolve()))
    connection.on('rejected', (event: EventContext) =>
      settle(to, event, ({ reject }) =>
        reject(new RefusedError('SLUICE_AMQP_NOT_TAKEN', `${name} rejects a message: ${rejection(event)}`)),
      ),
    )
    connection.on('released', (event: EventContext) =>
      settle(to, event, ({ reject }) =>
        reject(new NotConnectedError('SLUICE_AMQP_UNROUTABLE', `${name} does not take a message now`)),
      ),
    )
    connection.on('connection_close', ({ error }: EventContext) => broken(lost(error)))
    connection.on('disconnected', ({ error }: EventContext) => broken(lost(error)))
    connection.on('protocol_error', (error: unknown) => broken(lost(error)))
    connection.on('error', (error: unknown) => broken(lost(error)))
  }

  /** A link on which the peer lets us send. */
  const senderFor = (to: Link, address: string): Promise<Sender> => {
    const known = to.senders.get(address)
    if (known) return ready(known)
    if (to.senders.size >= MAX_LINKS) {
      const [oldest, sender] = to.senders.entries().next().value as [string, Sender]
      to.senders.delete(oldest)
      sender.close()
    }
    const sender = to.connection.open_sender({ target: { address, durable: 2 }, autosettle: true })
    to.senders.set(address, sender)
    return ready(sender)
  }

  /** Anything sent before the link is attached, or without credit, would wait in the library. */
  const ready = (sender: Sender): Promise<Sender> => {
    if (sender.sendable()) return Promise.resolve(sender)
    return new Promise((resolve, reject) => {
      const end = (finish: () => void) => {
        sender.off('sendable', sendable)
        sender.off('sender_close', closed)
        finish()
      }
      const sendable = () => end(() => resolve(sender))
      const closed = () =>
        end(() => {
          const why = sender.error ? `: ${reasonOf((sender.error as { description?: string }).description)}` : ''
          reject(new NotConnectedError('SLUICE_AMQP_UNROUTABLE', `${name} closes a link${why}`))
        })
      sender.on('sendable', sendable)
      sender.on('sender_close', closed)
    })
  }

  const publisher = (to: Link): Publish => {
    return async (address, body, id) => {
      const sender = await senderFor(to, address).catch((error: unknown) => {
        to.senders.delete(address)
        throw error
      })
      const delivery = sender.send({
        message_id: id,
        durable: true,
        to: address,
        content_type: 'application/json',
        ...(config.gzip ? { content_encoding: 'gzip' } : {}),
        body: to.rhea.message.data_section(body),
      })
      await new Promise<void>((resolve, reject) => to.waiting.set(delivery, { resolve, reject }))
    }
  }

  return {
    async connect(signal) {
      const given = await options()
      signal.throwIfAborted()
      const rhea = await loadRhea()
      const connection = rhea.create_container({ id: given.container_id }).create_connection(given)
      const opened: Link = { rhea, connection, senders: new Map(), waiting: new Map(), writing: undefined }
      const deadline = createDeadline(context.clock, config.timeout, signal, timedOut)
      let up = false
      attend(opened, (error) => {
        if (!up) deadline.end(unreachable(name, error))
        opened.writing?.end(error)
        if (link !== opened) return
        link = undefined
        for (const listener of listeners) listener(error)
      })
      const open = new Promise<void>((resolve) => connection.on('connection_open', () => resolve()))
      connection.connect()
      try {
        await Promise.race([open, deadline.over])
        up = true
        link = opened
      } catch (error) {
        drop(connection)
        throw error
      } finally {
        deadline.clear()
      }
    },

    async write(batch, signal) {
      const to = link
      if (!to) throw lost()
      signal.throwIfAborted()
      const deadline = createDeadline(context.clock, config.timeout, signal, timedOut)
      to.writing = deadline
      try {
        await publishBatch(config, config.address, batch, publisher(to), deadline)
      } finally {
        to.writing = undefined
        to.waiting.clear()
        deadline.clear()
      }
    },

    async close() {
      const ended = link
      link = undefined
      if (!ended) return
      const closed = new Promise<void>((resolve) => ended.connection.once('connection_close', () => resolve()))
      ended.connection.close()
      await Promise.race([closed, context.clock.sleep(500)])
      drop(ended.connection)
    },

    onLost(listener) {
      listeners.add(listener)
      return () => listeners.delete(listener)
    },
  }
}

interface Waiting {
  resolve(): void
  reject(error: Error): void
}

/** The library's own closing waits for the peer; its timers end with the socket. */
function drop(connection: Connection): void {
  const { socket } = connection as unknown as { readonly socket?: { destroy(): void; emit(event: string): void } }
  socket?.emit('end')
  socket?.destroy()
}

function unreachable(name: string, cause: NotConnectedError): NotConnectedError {
  if (/authenticat|sasl|unauthorized/i.test(cause.message))
    return new NotConnectedError('SLUICE_AMQP_CREDENTIALS', `${name} refuses our credentials`, { cause })
  return new NotConnectedError('SLUICE_AMQP_UNREACHABLE', `cannot connect to ${name}: ${cause.message}`, { cause })
}

function rejection({ delivery }: EventContext): string {
  const state = delivery?.remote_state as { readonly error?: { description?: string; condition?: string } } | undefined
  return state?.error?.description ?? state?.error?.condition ?? 'without a reason'
}
