/** The demo's simulated fleet: real MQTT clients, as a small house and a rack of modems would be. */
import type { MqttClient } from 'mqtt'
import type { Clock, Timer } from '../clock.ts'
import { actuators } from './actuators.ts'
import { sensors } from './sensors.ts'
import type { Answer, Thing } from './thing.ts'

export interface Fleet {
  readonly devices: number
  stop(): Promise<void>
}

/** What takes no commands shares these connections, as behind a radio bridge. */
const BRIDGES = 6
/** ms until a device has done what it was told. */
const EFFORT = 350
/** ms between two messages that make no sense, and the first one. */
const NOISE_EVERY = 23_000
const NOISE_FIRST = 4000

export function house(): Thing[] {
  return [...sensors(), ...actuators()]
}

/** @param port of the gateway's MQTT listener on loopback */
export async function startFleet(things: readonly Thing[], port: number, clock: Clock): Promise<Fleet> {
  const { connectAsync } = await import('mqtt')
  const connect = (clientId: string) => connectAsync({ host: '127.0.0.1', port, clientId, protocolVersion: 4 })
  const bridges = await Promise.all(Array.from({ length: BRIDGES }, (_, i) => connect(`bridge-${i + 1}`)))
  const clients = [...bridges]
  const timers: Timer[] = []
  const began = clock.monotonic()
  const seconds = () => (clock.monotonic() - began) / 1000
  const speaking = things.filter((thing) => thing.every !== undefined)
  for (const [i, thing] of speaking.entries()) {
    const client = thing.obey ? await connect(thing.id) : (bridges[i % BRIDGES] as MqttClient)
    if (thing.obey) clients.push(client)
    const speak = () => publish(client, `telemetry/${thing.id}`, thing.read?.(seconds()) ?? {})
    timers.push(clock.every(thing.every ?? 0, speak))
    if (thing.obey) await listen(client, thing, seconds, (act) => timers.push(clock.after(EFFORT, act)), speak)
    speak()
  }
  const [first] = bridges as [MqttClient]
  const noise = () => makeNoise(first, seconds(), clock.now())
  timers.push(clock.after(NOISE_FIRST, noise), clock.every(NOISE_EVERY, noise))
  return {
    devices: speaking.length,
    async stop() {
      for (const timer of timers) timer.cancel()
      await Promise.all(clients.map((client) => client.endAsync()))
    },
  }
}

function publish(client: MqttClient, topic: string, payload: object | string): void {
  client.publish(topic, typeof payload === 'string' ? payload : JSON.stringify(payload), { qos: 1 })
}

/** Does what it is told a moment later, drops what it was told before, answers, and says how it is now. */
async function listen(
  client: MqttClient,
  thing: Thing,
  seconds: () => number,
  later: (act: () => void) => void,
  speak: () => void,
): Promise<void> {
  const done = new Set<string>()
  client.on('message', (topic, payload) => {
    const { id, args } = JSON.parse(payload.toString()) as { id: string; args?: Record<string, unknown> }
    if (done.has(id)) return
    done.add(id)
    later(() => {
      const answer: Answer = thing.obey?.(topic.split('/')[2] ?? '', args ?? {}, seconds())
      if (answer === undefined) return
      publish(client, `${topic}/ack`, { id, ...answer })
      speak()
    })
  })
  await client.subscribeAsync(`command/${thing.id}/+`, { qos: 1 })
}

/** An old meter that breaks off in the middle of a sentence, and one whose clock is years ahead. */
function makeNoise(client: MqttClient, seconds: number, now: number): void {
  if (Math.floor(seconds / 20) % 2 === 0) publish(client, 'telemetry/meter-attic', '{"power": 412, "volt')
  else publish(client, 'telemetry/clock-attic', { ts: new Date(now + 9e10).toISOString(), temperature: 19.2 })
}
