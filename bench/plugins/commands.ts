/**
 * From an order over HTTP to the acknowledgement that the gateway has on its disk: an MQTT device answers each command
 * at once, the ledger is durable, and the next order comes when the last is done.
 */
import { connectAsync } from 'mqtt'
import { startSluice } from '../process.ts'

export interface RoundTrips {
  /** ms */
  readonly p50: number
  readonly p99: number
  readonly longest: number
}

async function answering(port: number) {
  const device = await connectAsync({ host: '127.0.0.1', port, clientId: 'lamp', clean: true })
  device.on('message', (topic, payload) => {
    const { id } = JSON.parse(String(payload)) as { id: string }
    device.publish(`${topic}/ack`, JSON.stringify({ id, ok: true }), { qos: 1 })
  })
  await device.subscribeAsync('command/lamp/+', { qos: 1 })
  return device
}

/** Resolves with the ids of commands as they are acknowledged. */
async function* acknowledged(port: number): AsyncGenerator<string> {
  const response = await fetch(`http://127.0.0.1:${port}/api/events?types=command`)
  if (!response.body) throw new Error('no events')
  const decoder = new TextDecoder()
  let text = ''
  for await (const chunk of response.body) {
    text += decoder.decode(chunk, { stream: true })
    const lines = text.split('\n')
    text = lines.pop() ?? ''
    for (const line of lines) {
      if (!line.startsWith('data:')) continue
      const { id, state } = JSON.parse(line.slice(5)) as { id?: string; state?: string }
      if (id !== undefined && state === 'acknowledged') yield id
    }
  }
}

export async function measureCommands(count: number): Promise<RoundTrips> {
  const gateway = await startSluice({
    mqtt: { listen: '127.0.0.1:0' },
    http: { listen: '127.0.0.1:0' },
    log: { level: 'warn' },
  })
  const { mqtt = 0, http = 0 } = gateway.ports
  const device = await answering(mqtt)
  const events = acknowledged(http)
  const times: number[] = []
  for (let i = 0; i < count; i++) {
    const began = performance.now()
    const next = events.next()
    await fetch(`http://127.0.0.1:${http}/api/commands`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ id: `c${i}`, device: 'lamp', command: 'on', args: { level: i % 100 } }),
    })
    const { value } = await next
    if (value !== `c${i}`) throw new Error(`c${i} was not acknowledged in its turn`)
    times.push(performance.now() - began)
  }
  await events.return(undefined)
  await device.endAsync()
  await gateway.stop()
  times.sort((a, b) => a - b)
  const at = (q: number) => times[Math.min(times.length - 1, Math.floor(times.length * q))] ?? Number.NaN
  return { p50: at(0.5), p99: at(0.99), longest: at(1) }
}
