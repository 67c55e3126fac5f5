/** The demo's simulated fleet: real MQTT clients that publish what a small house and its surroundings would. */
import type { MqttClient } from 'mqtt'
import type { Clock, Timer } from '../clock.ts'

interface Sensor {
  readonly id: string
  /** ms between two readings. */
  readonly every: number
  read(seconds: number): Readonly<Record<string, number | string | boolean>>
}

export interface Fleet {
  readonly devices: number
  /** Readings published so far. */
  readonly published: () => number
  stop(): Promise<void>
}

const CLIENTS = 8

function wave(seconds: number, period: number, phase: number): number {
  return Math.sin((2 * Math.PI * seconds) / period + phase)
}

function round(value: number, digits: number): number {
  return Number(value.toFixed(digits))
}

function climate(i: number): Sensor {
  return {
    id: `climate-${i}`,
    every: 1000,
    read: (s) => ({
      temperature: round(20 + 3 * wave(s, 90, i) + wave(s, 7, i * 2) * 0.2, 2),
      humidity: round(45 + 8 * wave(s, 140, i), 1),
    }),
  }
}

function meter(i: number): Sensor {
  return {
    id: `meter-${i}`,
    every: 500,
    read: (s) => ({ power: round(400 + 350 * wave(s, 45, i) ** 2, 1), state: wave(s, 120, i) > 0.97 ? 'fault' : 'ok' }),
  }
}

function modem(i: number): Sensor {
  return {
    id: `dvc${3001 + i}`,
    every: 1000,
    read: (s) => ({
      cpuusage: Math.round(75 + 25 * wave(s, 60, i)),
      memoryusage: Math.round(1250 + 250 * wave(s, 200, i)),
      interfacestatus: wave(s, 300, i) > -0.95 ? 'up' : 'down',
    }),
  }
}

function sensors(): Sensor[] {
  return [
    ...Array.from({ length: 12 }, (_, i) => climate(i + 1)),
    ...Array.from({ length: 8 }, (_, i) => meter(i + 1)),
    ...Array.from({ length: 20 }, (_, i) => modem(i)),
  ]
}

/** @param port of the gateway's MQTT listener on loopback */
export async function startFleet(port: number, clock: Clock): Promise<Fleet> {
  const { connectAsync } = await import('mqtt')
  const clients: MqttClient[] = []
  for (let i = 0; i < CLIENTS; i++) {
    clients.push(await connectAsync({ host: '127.0.0.1', port, clientId: `demo-${i}`, protocolVersion: 4 }))
  }
  const all = sensors()
  const began = clock.monotonic()
  let published = 0
  const timers: Timer[] = all.map((sensor, i) => {
    const client = clients[i % CLIENTS] as MqttClient
    return clock.every(sensor.every, () => {
      const payload = JSON.stringify(sensor.read((clock.monotonic() - began) / 1000))
      client.publish(`telemetry/${sensor.id}`, payload, { qos: 1 }, (error) => {
        if (!error) published++
      })
    })
  })
  return {
    devices: all.length,
    published: () => published,
    stop: async () => {
      for (const timer of timers) timer.cancel()
      await Promise.all(clients.map((client) => client.endAsync()))
    },
  }
}
