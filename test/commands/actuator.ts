/** An MQTT device that does what it is told once, drops what it had, and answers. */
import { connectAsync, type MqttClient } from 'mqtt'

export interface Actuator {
  readonly client: MqttClient
  /** Ids in the order in which they came, repeated ones too. */
  readonly received: string[]
  /** What was done. */
  readonly done: Map<string, { name: string; args: unknown }>
  close(): Promise<void>
}

export interface ActuatorOptions {
  readonly clientId?: string
  readonly answers?: boolean
  /** Done in an earlier connection. */
  readonly done?: Map<string, { name: string; args: unknown }>
}

export async function connectActuator(port: number, device: string, options: ActuatorOptions = {}): Promise<Actuator> {
  const { clientId = device, answers = true, done = new Map() } = options
  const client = await connectAsync(`mqtt://127.0.0.1:${port}`, { clientId, reconnectPeriod: 0 })
  const received: string[] = []
  client.on('error', () => undefined)
  client.on('message', (topic, payload) => {
    const name = topic.split('/')[2] ?? ''
    const { id, args } = JSON.parse(payload.toString()) as { id: string; args: unknown }
    received.push(id)
    if (!done.has(id)) done.set(id, { name, args })
    if (answers) client.publish(`${topic}/ack`, JSON.stringify({ id, ok: true, result: { done: name } }), { qos: 1 })
  })
  await client.subscribeAsync(`command/${device}/+`, { qos: 1 })
  return { client, received, done, close: () => client.endAsync(true) }
}
