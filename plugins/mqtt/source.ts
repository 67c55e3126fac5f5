/**
 * Subscribes to another broker. A message is acknowledged (PUBACK) when the gateway has it on disk, in the order in
 * which messages came (MQTT 3.1.1, 4.6); when there is no room, nothing more is read from the socket. The session is
 * persistent, so the broker keeps what comes while we are away, and sends again what we did not acknowledge.
 */
import type { IPublishPacket, MqttClient } from 'mqtt'
import { NotConnectedError, reasonOf } from '../../gateway/errors.ts'
import type { Emit, Message, PluginContext, Source } from '../../gateway/plugin.ts'
import type { MqttConfig } from './config.ts'
import { type Connection, endConnection, openConnection } from './connection.ts'

/** How long acknowledgements under way are waited for when the source stops, ms. */
const LINGER = 500

export function createSource(config: MqttConfig, topics: readonly string[], context: PluginContext): Source {
  let subscribed = false
  return {
    async run(emit, signal) {
      const clientId = config.clientId ?? `sluice-${context.gateway}-${context.name}-source`
      // Messages of a resumed session come right after CONNACK: the handler must be there before.
      const intake = createIntake(emit, config, context)
      let client: MqttClient | undefined
      try {
        const connection = await openConnection(config, context, { clientId, clean: false }, signal, intake.attach)
        client = connection.client
        if (!subscribed || !connection.resumed) await subscribe(connection, config, topics, context)
        subscribed = true
        await ended(connection, intake, config, signal)
        await intake.settled(LINGER)
      } catch (error) {
        if (!signal.aborted) throw error
      } finally {
        if (client) await endConnection(client, context)
      }
    },
  }
}

interface Intake {
  attach(client: MqttClient): void
  /** Rejects when a message must be delivered again. */
  readonly failed: Promise<never>
  /** Resolves when nothing is under way, at the latest after `ms`. */
  settled(ms: number): Promise<void>
}

/** The client sends no PUBACK of its own for a message whose handler reports an error; it has no other consequence. */
const ACKNOWLEDGED_LATER = new Error('acknowledged when durable')

function createIntake(emit: Emit, config: MqttConfig, context: PluginContext): Intake {
  let underWay = 0
  let idle: (() => void) | undefined
  let fail: ((error: Error) => void) | undefined
  const failed = new Promise<never>((_, reject) => {
    fail = reject
  })
  failed.catch(() => {})

  const take = (client: MqttClient, packet: IPublishPacket, done: (error?: Error) => void): void => {
    if (packet.retain && !config.retained) {
      context.metrics.count('retained_ignored')
      done()
      return
    }
    const { messageId, qos } = packet
    const taken = emit.offer(messageOf(packet), (error) => {
      underWay--
      if (error) fail?.(error)
      else if (qos === 1 && messageId !== undefined && client.connected) client.stream.write(puback(messageId))
      if (underWay === 0) idle?.()
    })
    if (!taken) {
      emit.room().then(() => take(client, packet, done), done)
      return
    }
    underWay++
    done(qos === 0 ? undefined : ACKNOWLEDGED_LATER)
  }

  return {
    attach(client) {
      client.handleMessage = (packet, done) => take(client, packet, done)
    },
    failed,
    settled: (ms) =>
      new Promise((resolve) => {
        if (underWay === 0) return resolve()
        const timer = context.clock.after(ms, resolve)
        idle = () => {
          timer.cancel()
          resolve()
        }
      }),
  }
}

/** Resolves when the signal aborts. */
function ended(connection: Connection, intake: Intake, config: MqttConfig, signal: AbortSignal): Promise<void> {
  const { client } = connection
  return new Promise((resolve, reject) => {
    const again = (text: string, cause?: unknown) =>
      reject(new NotConnectedError('SLUICE_MQTT_LOST', `${text} ${config.url}`, { cause }))
    if (!client.connected) again('connection lost to broker')
    client.once('close', () => again('connection lost to broker'))
    intake.failed.catch((error: unknown) => again(`not taken (${reasonOf(error)}), to be sent again by broker`, error))
    if (signal.aborted) resolve()
    signal.addEventListener('abort', () => resolve(), { once: true })
  })
}

/** Subscribes, and unsubscribes what an earlier config asked for and the session still holds. */
async function subscribe(
  { client }: Connection,
  config: MqttConfig,
  topics: readonly string[],
  context: PluginContext,
): Promise<void> {
  const earlier = context.store.get('topics')
  const stale = Array.isArray(earlier) ? earlier.filter((topic): topic is string => !topics.includes(topic)) : []
  try {
    if (stale.length > 0) await client.unsubscribeAsync(stale)
    const granted = await client.subscribeAsync([...topics], { qos: 1 })
    const refused = granted.filter(({ qos }) => qos >= 0x80)
    if (refused.length > 0) throw new Error(`refused: ${refused.map(({ topic }) => topic).join(', ')}`)
  } catch (cause) {
    const text = `broker ${config.url} does not let us subscribe: ${reasonOf(cause)}`
    throw new NotConnectedError('SLUICE_MQTT_SUBSCRIPTION', text, { cause })
  }
  await context.store.set('topics', [...topics])
}

function messageOf(packet: IPublishPacket): Message {
  const { topic, payload } = packet
  const contentType = packet.properties?.contentType
  return {
    topic,
    payload: typeof payload === 'string' ? Buffer.from(payload) : payload,
    ...(contentType === undefined ? {} : { contentType }),
  }
}

/** PUBACK (MQTT 3.1.1, 3.4); valid in MQTT 5 too, where a missing reason code means success. */
function puback(messageId: number): Buffer {
  return Buffer.from([0x40, 0x02, messageId >>> 8, messageId & 0xff])
}
