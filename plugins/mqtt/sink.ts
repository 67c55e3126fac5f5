/** Publishes batches at QoS 1: what the broker acknowledged it has. */
import { promisify } from 'node:util'
import { gzip } from 'node:zlib'
import { NotConnectedError, PartialWriteError, RefusedError, reasonOf } from '../../gateway/errors.ts'
import type { Batch, CommandListener, PluginContext, Sink } from '../../gateway/plugin.ts'
import { takeCommands } from './commands.ts'
import type { MqttConfig } from './config.ts'
import { type Connection, endConnection, openConnection, reasonCode } from './connection.ts'
import { topicOfBatch, topicOfRecord } from './topic.ts'

const compress = promisify(gzip)

/** Fixed header, packet identifier and MQTT 5 properties, bytes; the topic comes on top. */
const OVERHEAD = 16
/** PUBACK reason codes (MQTT 5, 3.4.2.1) with which a broker says that it will never take this message. */
const NEVER = [0x90, 0x95, 0x99]

export function createSink(config: MqttConfig, context: PluginContext): Sink {
  const listeners = new Set<(reason: Error) => void>()
  let connection: Connection | undefined
  let command: CommandListener | undefined

  const lost = () => new NotConnectedError('SLUICE_MQTT_LOST', `connection to broker ${config.url} was lost`)

  /** Publishes one message; rejects when it is not acknowledged. */
  const publish = async ({ client, maximumPacket }: Connection, topic: string, json: Buffer): Promise<void> => {
    const payload = config.gzip ? await compress(json) : json
    if (payload.length + Buffer.byteLength(topic) + OVERHEAD > maximumPacket)
      throw new RefusedError(
        'SLUICE_MQTT_TOO_LARGE',
        `broker ${config.url} takes at most ${maximumPacket} bytes at once`,
      )
    await new Promise<void>((resolve, reject) => {
      client.publish(topic, payload, { qos: 1 }, (error) => (error ? reject(failure(error)) : resolve()))
    })
  }

  const failure = (cause: Error): Error => {
    const code = reasonCode(cause)
    const text = `broker ${config.url} does not take the message: ${reasonOf(cause)}`
    if (code !== undefined && NEVER.includes(code)) return new RefusedError('SLUICE_MQTT_NOT_TAKEN', text, { cause })
    return new NotConnectedError('SLUICE_MQTT_NOT_TAKEN', text, { cause })
  }

  /** All records, in order, some of them under way at the same time. */
  const publishRecords = async (to: Connection, batch: Batch, cut: AbortSignal): Promise<void> => {
    const acknowledged = new Uint8Array(batch.count)
    let next = 0
    let failed: Error | undefined
    const lane = async () => {
      while (next < batch.count && !failed && !cut.aborted) {
        const i = next++
        const record = batch.records[i] as Buffer
        try {
          await publish(to, topicOfRecord(config.topic, batch, record), record)
          acknowledged[i] = 1
        } catch (error) {
          failed ??= error as Error
        }
      }
    }
    const aborted = new Promise<void>((resolve) => {
      cut.addEventListener('abort', () => resolve(), { once: true })
    })
    const lanes = Array.from({ length: Math.min(config.inflight, batch.count) }, lane)
    await Promise.race([Promise.all(lanes), aborted])
    const missing = acknowledged.indexOf(0)
    if (missing < 0) return
    const cause = failed ?? (cut.reason as Error)
    if (missing === 0) throw cause
    const text = `broker ${config.url} took ${missing} of ${batch.count} records`
    throw new PartialWriteError('SLUICE_MQTT_PARTIAL', text, missing, { cause })
  }

  return {
    async connect(signal) {
      const clientId = config.clientId ?? `sluice-${context.gateway}-${context.name}-sink`
      const commands = command && takeCommands(command, context)
      const session = { clientId, clean: commands === undefined }
      const opened = await openConnection(config, context, session, signal, commands?.attach)
      await commands?.subscribe(opened.client)
      connection = opened
      opened.client.once('close', () => {
        if (connection !== opened) return
        connection = undefined
        for (const listener of listeners) listener(lost())
      })
    },

    async write(batch, signal) {
      const to = connection
      if (!to?.client.connected) throw lost()
      const cut = new AbortController()
      const end = (reason: unknown) => cut.abort(reason)
      const closed = () => end(lost())
      const aborted = () => end(signal.reason)
      const timer = context.clock.after(config.timeout, () =>
        end(new NotConnectedError('SLUICE_MQTT_TIMEOUT', `broker ${config.url} did not acknowledge in time`)),
      )
      to.client.once('close', closed)
      signal.addEventListener('abort', aborted, { once: true })
      try {
        signal.throwIfAborted()
        if (config.shape === 'record') await publishRecords(to, batch, cut.signal)
        else await Promise.race([publish(to, topicOfBatch(config.topic, batch), batch.body()), rejection(cut.signal)])
      } finally {
        timer.cancel()
        to.client.off('close', closed)
        signal.removeEventListener('abort', aborted)
      }
    },

    async close() {
      const ended = connection
      connection = undefined
      if (ended) await endConnection(ended.client, context)
    },

    ...(config.commands
      ? {
          onCommand(listener: CommandListener) {
            command = listener
          },
        }
      : {}),

    onLost(listener) {
      listeners.add(listener)
      return () => listeners.delete(listener)
    },
  }
}

function rejection(signal: AbortSignal): Promise<never> {
  return new Promise((_, reject) => {
    signal.addEventListener('abort', () => reject(signal.reason), { once: true })
  })
}
