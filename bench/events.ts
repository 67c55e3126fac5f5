/**
 * `npm run bench:events`: what one reader of `/api/events` costs the gateway, while 5,000 devices send 10,000 readings a
 * second. The same gateway under the same load, by turns without and with the reader, so that the ratio holds on a
 * machine that others use too. The reader asks for what the dashboard asks for; `TYPES=…` for something else.
 */
import { spawn } from 'node:child_process'
import { get } from 'node:http'
import { bundle, cpuSeconds, startSluice, temporaryFolder } from './process.ts'

const DEVICES = 5000
/** Readings per second. */
const RATE = 10_000
/** s */
const TURN = 3
const TURNS = Number(process.env.TURNS ?? 6)
const WINDOW = '10s'
const TYPES = process.env.TYPES ?? 'ready,status,reading,command,alert,gap,upstream'

const config = {
  mqtt: { listen: '127.0.0.1:0', anonymous: true },
  http: { listen: '127.0.0.1:0' },
  decode: [{ topic: 'telemetry/{device}', time: 'event_time' }],
  windows: { 'per-device': { tumbling: WINDOW, by: ['device'], delay: '2s' } },
}

interface Reader {
  readonly bytes: () => number
  end(): void
}

function openReader(port: number): Promise<Reader> {
  return new Promise((resolve, reject) => {
    const request = get({ port, path: `/api/events?types=${TYPES}`, agent: false }, (response) => {
      let bytes = 0
      response.on('data', (piece: Buffer) => {
        bytes += piece.length
      })
      resolve({ bytes: () => bytes, end: () => request.destroy() })
    })
    request.on('error', reject)
  })
}

const seconds = (n: number) => new Promise((resolve) => setTimeout(resolve, n * 1000))

async function cpuOf(pid: number, turn: number): Promise<number> {
  const before = cpuSeconds(pid)
  await seconds(turn)
  return (cpuSeconds(pid) - before) / turn
}

export async function measureEvents(): Promise<{ alone: number; watched: number; bytesPerSecond: number }> {
  const folder = temporaryFolder()
  const sluice = await startSluice(config)
  const pid = sluice.process.pid as number
  const messages = RATE * (2 * TURN * TURNS + 10)
  const load = {
    port: sluice.ports.mqtt,
    connections: 50,
    messages,
    qos: 0,
    devices: DEVICES,
    pipeline: 100,
    rate: RATE,
  }
  const timed = { ...load, start: Date.now(), step: (1000 * DEVICES) / RATE }
  const generator = spawn(process.execPath, [bundle('load.ts', folder.path), JSON.stringify(timed)], {
    stdio: 'ignore',
  })
  await seconds(5)
  let [alone, watched, bytes] = [0, 0, 0]
  for (let i = 0; i < TURNS; i++) {
    alone += await cpuOf(pid, TURN)
    const reader = await openReader(sluice.ports.http ?? 0)
    watched += await cpuOf(pid, TURN)
    bytes += reader.bytes()
    reader.end()
  }
  generator.kill()
  await sluice.stop()
  folder.remove()
  return { alone: alone / TURNS, watched: watched / TURNS, bytesPerSecond: bytes / TURNS / TURN }
}

if (process.argv[1]?.endsWith('events.ts')) {
  const { alone, watched, bytesPerSecond } = await measureEvents()
  const percent = (part: number) => `${(100 * part).toFixed(1)} %`
  process.stdout.write(
    [
      `gateway alone         ${percent(alone)} of a core`,
      `with one reader       ${percent(watched)} of a core`,
      `the reader costs      ${percent(watched / alone - 1)} of the gateway's CPU, ${percent(watched - alone)} of a core`,
      `it is sent            ${Math.round(bytesPerSecond / 1024)} KB/s`,
      '',
    ].join('\n'),
  )
}
