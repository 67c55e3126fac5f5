/** Sensors as they are: MQTT clients of the gateway's broker. */
import { connectAsync, type MqttClient } from 'mqtt'

export interface Message {
  readonly topic: string
  readonly payload: string
}

export function connectDevice(port: number, clientId?: string): Promise<MqttClient> {
  return connectAsync(`mqtt://127.0.0.1:${port}`, { reconnectPeriod: 0, ...(clientId ? { clientId } : {}) })
}

/** One connection for all messages, QoS 1; resolves when all are acknowledged. */
export async function publishAll(port: number, messages: Iterable<Message>): Promise<void> {
  const client = await connectDevice(port)
  const acknowledged: Promise<unknown>[] = []
  for (const { topic, payload } of messages) acknowledged.push(client.publishAsync(topic, payload, { qos: 1 }))
  await Promise.all(acknowledged)
  await client.endAsync()
}

/** A connection of its own, for one message. */
export function publishAndLeave(port: number, message: Message): Promise<void> {
  return publishAll(port, [message])
}
