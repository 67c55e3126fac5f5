import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { connect, type Socket } from 'node:net'
import { test } from 'node:test'
import { generate } from 'mqtt-packet'
import { createSite, runCommand } from '../support/gateway-process.ts'
import { eventually } from '../support/within.ts'

const RATE = 50_000
const SECONDS = 5
const CONNECTIONS = 4
const DEVICES = 1000
/** ms between two writes of a connection */
const STEP = 20
const LIMIT = 250 * 1024 * 1024

/** What the sensors say again and again, made beforehand; about 200 bytes each. */
function packets(connection: number): Buffer[] {
  const pad = 'x'.repeat(90)
  return Array.from({ length: DEVICES / CONNECTIONS }, (_, i) =>
    generate({
      cmd: 'publish',
      topic: `telemetry/sensor-${connection}-${i}`,
      payload: JSON.stringify({ cpu: 50 + (i % 50), memory: 1000 + i, temperature: 20.5, state: 'NSW', note: pad }),
      qos: 0,
      retain: false,
      dup: false,
    }),
  )
}

async function connected(port: number, clientId: string): Promise<Socket> {
  const socket = connect(port, '127.0.0.1')
  socket.write(
    generate({ cmd: 'connect', protocolId: 'MQTT', protocolVersion: 4, clean: true, clientId, keepalive: 60 }),
  )
  await new Promise((resolve, reject) => socket.once('data', resolve).once('error', reject))
  return socket
}

/** Resolves when all was handed to the kernel. */
async function send(socket: Socket, chunk: Buffer, times: number): Promise<void> {
  const began = performance.now()
  for (let i = 0; i < times; i++) {
    const wait = began + i * STEP - performance.now()
    if (wait > 0) await new Promise((resolve) => setTimeout(resolve, wait))
    if (!socket.write(chunk)) await new Promise((resolve) => socket.once('drain', resolve))
  }
}

/** Highest resident memory of a process so far, bytes (proc(5), status). */
function peakMemory(pid: number | undefined): number {
  const found = /VmHWM:\s+(\d+) kB/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))
  return Number(found?.[1]) * 1024
}

const skip = process.platform === 'linux' ? false : '/proc is not there'

test('memory stays bounded with the upstream gone and 50,000 readings per second coming in', { skip }, async (t) => {
  const nobody = { mqtt: { url: 'mqtt://127.0.0.1:9' } }
  const site = createSite({
    mqtt: { listen: '127.0.0.1:0' },
    http: { listen: '127.0.0.1:0' },
    windows: { w: { tumbling: '1s', by: ['device'] } },
    outbox: { maxBytes: '4MB' },
    upstreams: { cloud: { ...nobody, raw: true }, lake: { http: { url: 'http://127.0.0.1:9/' } } },
  })
  const gateway = await site.start()
  try {
    const port = gateway.ports.mqtt as number
    const sockets = await Promise.all(Array.from({ length: CONNECTIONS }, (_, i) => connected(port, `load-${i}`)))
    const times = (SECONDS * 1000) / STEP
    const perWrite = (RATE * STEP) / 1000 / CONNECTIONS
    assert.equal(perWrite, DEVICES / CONNECTIONS)
    const began = performance.now()
    await Promise.all(sockets.map((socket, i) => send(socket, Buffer.concat(packets(i)), times)))
    const seconds = (performance.now() - began) / 1000
    const sent = times * perWrite * CONNECTIONS
    const taken = async () => {
      const metrics = await (await fetch(`http://127.0.0.1:${gateway.ports.http}/metrics`)).text()
      return Number(/^sluice_readings_in_total\{source="mqtt"\} (\d+)/m.exec(metrics)?.[1])
    }
    await eventually('everything was read', async () => (await taken()) === sent, 60_000)
    const peak = peakMemory(gateway.child.pid)
    t.diagnostic(`${Math.round(sent / seconds)} readings/s, at most ${Math.round(peak / 1024 / 1024)} MB resident`)
    assert.ok(peak < LIMIT, `${Math.round(peak / 1024 / 1024)} MB`)
    for (const socket of sockets) socket.destroy()
    assert.equal(await gateway.kill(), 0)
    const audit = await runCommand(['audit', ...site.args])
    assert.equal(audit.code, 0, audit.out + audit.err)
  } finally {
    await gateway.kill('SIGKILL')
    site.remove()
  }
})
