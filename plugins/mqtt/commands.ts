/**
 * Commands from upstream: topic `sluice/{gateway}/command`, QoS 1, a session that the broker keeps while we are away. A
 * command is acknowledged when it is durable here. Retained ones are ignored: they would come again at each start.
 */
import type { IPublishPacket, MqttClient } from 'mqtt'
import { RefusedError, reasonOf } from '../../gateway/errors.ts'
import type { CommandListener, PluginContext } from '../../gateway/plugin.ts'

export interface TakenCommands {
  /** Before anything arrives. */
  attach(client: MqttClient): void
  /** A broker that does not let us is no reason to send it nothing. */
  subscribe(client: MqttClient): Promise<void>
}

/** The client sends no PUBACK of its own for a message whose handler reports an error; it has no other consequence. */
const ACKNOWLEDGED_LATER = new Error('acknowledged when durable')

export function takeCommands(listener: CommandListener, { gateway, log, metrics }: PluginContext): TakenCommands {
  const topic = `sluice/${gateway}/command`
  const take = (client: MqttClient, packet: IPublishPacket, done: (error?: Error) => void): void => {
    const { messageId, qos, payload, retain } = packet
    if (packet.topic !== topic || retain) {
      metrics.count('commands_ignored')
      done()
      return
    }
    const acknowledge = () => {
      if (qos === 1 && messageId !== undefined && client.connected) client.stream.write(puback(messageId))
    }
    listener(Buffer.from(payload)).then(acknowledge, (error: unknown) => {
      log.warn({ topic, reason: reasonOf(error) }, 'a command from upstream was not taken')
      // It would come back for ever.
      if (error instanceof RefusedError) acknowledge()
    })
    done(qos === 0 ? undefined : ACKNOWLEDGED_LATER)
  }
  return {
    attach: (client) => {
      client.handleMessage = (packet, done) => take(client, packet, done)
    },
    async subscribe(client) {
      try {
        const granted = await client.subscribeAsync(topic, { qos: 1 })
        if (granted.some(({ qos }) => qos >= 0x80)) throw new Error('refused')
      } catch (error) {
        log.warn({ topic, reason: reasonOf(error) }, `no commands from upstream: cannot subscribe to ${topic}`)
      }
    },
  }
}

/** PUBACK (MQTT 3.1.1, 3.4); valid in MQTT 5 too, where a missing reason code means success. */
function puback(messageId: number): Buffer {
  return Buffer.from([0x40, 0x02, messageId >>> 8, messageId & 0xff])
}
