/** Start and what an idle gateway takes; 10,000 idle connections; 100,000 device keys; 1,000 short connections a second. */
import { connect, type Socket } from 'node:net'
import { generate } from 'mqtt-packet'
import { cpuSeconds, memory, startSluice } from './process.ts'
import { measureWindowState } from './window-state.ts'

const CONNECTIONS = 10_000
const KEYS = 100_000
const SHORT = 3000
/** By then V8 has given back what starting took, ms. */
const SETTLED = 30_000

const CONFIG = {
  mqtt: {
    listen: '127.0.0.1:0',
    limits: { perAddress: 50_000, connections: 50_000, connectRate: 50_000 },
  },
  http: { listen: '127.0.0.1:0' },
  log: { level: 'warn' },
}

/** Some lines of text. */
export async function measureStart(runs: number): Promise<string> {
  const lines: string[] = []
  const times: number[] = []
  let fresh = 0
  let idle = 0
  for (let i = 0; i < runs * 3; i++) {
    const began = performance.now()
    const gateway = await startSluice(CONFIG)
    times.push(performance.now() - began)
    if (i === 0) {
      fresh = memory(gateway.process.pid as number).now
      await new Promise((resolve) => setTimeout(resolve, SETTLED))
      idle = memory(gateway.process.pid as number).now
    }
    await gateway.stop()
  }
  const middle = (values: number[]) => values.sort((a, b) => a - b)[Math.floor(values.length / 2)] as number
  lines.push(
    `start to ready: ${middle(times).toFixed(0)} ms, resident memory: ${fresh.toFixed(0)} MB when ready, ${idle.toFixed(0)} MB once idle`,
  )
  lines.push(await idleConnections(), await manyKeys(), measureWindowState(), await shortConnections())
  return lines.join('\n')
}

function packet(clientId: string): Buffer {
  return generate({ cmd: 'connect', protocolId: 'MQTT', protocolVersion: 4, clean: true, clientId, keepalive: 600 })
}

async function open(port: number, clientId: string): Promise<Socket> {
  const socket = connect(port, '127.0.0.1')
  await new Promise((resolve, reject) => socket.once('connect', resolve).once('error', reject))
  socket.write(packet(clientId))
  await new Promise((resolve, reject) => socket.once('data', resolve).once('error', reject))
  return socket
}

async function idleConnections(): Promise<string> {
  const gateway = await startSluice(CONFIG)
  const pid = gateway.process.pid as number
  const before = memory(pid).now
  const sockets: Socket[] = []
  for (let i = 0; i < CONNECTIONS; i += 100) {
    const some = Array.from({ length: 100 }, (_, j) => open(gateway.ports.mqtt as number, `idle-${i + j}`))
    sockets.push(...(await Promise.all(some)))
  }
  const each = ((memory(pid).now - before) * 1024) / CONNECTIONS
  for (const socket of sockets) socket.destroy()
  await gateway.stop()
  return `${CONNECTIONS} idle connections: ${each.toFixed(1)} KB each`
}

async function manyKeys(): Promise<string> {
  const gateway = await startSluice(CONFIG)
  const pid = gateway.process.pid as number
  const before = memory(pid).now
  const socket = await open(gateway.ports.mqtt as number, 'keys')
  const began = performance.now()
  for (let i = 0; i < KEYS; i += 500) {
    const packets = Array.from({ length: 500 }, (_, j) =>
      generate({
        cmd: 'publish',
        topic: `telemetry/key-${i + j}`,
        payload: '{"value":1.5}',
        qos: 0,
        retain: false,
        dup: false,
      }),
    )
    if (!socket.write(Buffer.concat(packets))) await new Promise((resolve) => socket.once('drain', resolve))
  }
  // Everything before this QoS 1 message has been taken when it is acknowledged.
  socket.write(
    generate({
      cmd: 'publish',
      topic: 'telemetry/last',
      payload: '{"value":1}',
      qos: 1,
      messageId: 1,
      retain: false,
      dup: false,
    }),
  )
  await new Promise((resolve) => socket.once('data', resolve))
  const seconds = (performance.now() - began) / 1000
  const each = ((memory(pid).now - before) * 1024) / KEYS
  socket.destroy()
  await gateway.stop()
  return `${KEYS} device keys: ${each.toFixed(2)} KB each in all, ${(KEYS / seconds / 1000).toFixed(0)} k new keys/s`
}

async function shortConnections(): Promise<string> {
  const gateway = await startSluice(CONFIG)
  const pid = gateway.process.pid as number
  const cpu = cpuSeconds(pid)
  const began = performance.now()
  let next = 0
  const worker = async () => {
    for (let i = next++; i < SHORT; i = next++) {
      const socket = await open(gateway.ports.mqtt as number, `short-${i}`)
      socket.write(
        generate({
          cmd: 'publish',
          topic: `telemetry/short-${i % 100}`,
          payload: '{"v":1}',
          qos: 1,
          messageId: 1,
          retain: false,
          dup: false,
        }),
      )
      await new Promise((resolve) => socket.once('data', resolve))
      socket.end(generate({ cmd: 'disconnect' }))
    }
  }
  await Promise.all(Array.from({ length: 50 }, worker))
  const seconds = (performance.now() - began) / 1000
  const each = ((cpuSeconds(pid) - cpu) * 1e6) / SHORT
  await gateway.stop()
  return `connect, publish QoS 1, leave: ${(SHORT / seconds).toFixed(0)}/s, ${each.toFixed(0)} CPU-µs each`
}
