/**
 * What every executable must do, whatever it runs on: take readings over MQTT, compute windows, deliver to a real
 * upstream, and lose nothing to `kill -9` while the upstream is down.
 */
import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { connectAsync } from 'mqtt'
import { holes, type Receiver, startReceiver } from '../crash/receiver.ts'
import { type Executable, type Running, runExecutable, startGateway } from './executable.ts'

/** A plugin of a person's own: says one reading. */
const OWN_PLUGIN = `export default ({ z }) => ({
  name: 'own',
  summary: 'says one reading',
  roles: ['source'],
  config: z.strictObject({}),
  create: () => ({
    source: {
      async run(emit, signal) {
        await emit({ topic: 'telemetry/own-device', payload: Buffer.from('{"alive":1}') })
        await new Promise((resolve) => signal.addEventListener('abort', resolve))
      },
    },
  }),
})
`
const WINDOW = 10_000
const READINGS = 10
/** An emulated start takes seconds; ms. */
const PATIENCE = 60_000

/** @throws AssertionError at the first thing that does not work */
export async function smoke(executable: Executable, progress: (step: string) => void): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), 'sluice-smoke-'))
  const receiver = await startReceiver()
  let running: Running | undefined
  const start = async () => {
    running = await startGateway(executable, ['--config', config, '--data', data], PATIENCE)
    return running
  }
  const data = join(folder, 'data')
  const config = join(folder, 'sluice.yaml')
  writeFileSync(join(folder, 'own.mjs'), OWN_PLUGIN)
  writeFileSync(config, JSON.stringify(configFor(receiver.port)))
  const steps = async () => {
    await commands(executable, config)
    progress('version and check')
    await deliversResults(await start(), receiver)
    progress('readings over MQTT, a window result at the HTTP upstream')
    await healthOf(executable, data)
    progress('health, status, and a reading of a plugin loaded from a file')
    assert.ok(running)
    await commandsDevice(running, receiver)
    progress('a command to a device, its answer at the upstream')
    await survivesKill(running, start, receiver)
    progress('kill -9 with the upstream down, started again: each window once, nothing lost')
    await stopsCleanly(running, executable, data)
    progress('SIGTERM, audit balances')
  }
  let deadline: NodeJS.Timeout | undefined
  const late = new Promise<never>((_, reject) => {
    deadline = setTimeout(() => reject(new Error(`not done in ${2 * PATIENCE} ms`)), 2 * PATIENCE)
  })
  try {
    await Promise.race([steps(), late])
  } finally {
    clearTimeout(deadline)
    await running?.kill('SIGKILL')
    await receiver.close()
    rmSync(folder, { recursive: true, force: true })
  }
}

function configFor(upstream: number): object {
  return {
    gateway: { id: 'smoke' },
    mqtt: { listen: '127.0.0.1:0' },
    http: { listen: '127.0.0.1:0' },
    decode: [{ topic: 'telemetry/{device}', time: 't' }],
    windows: { 'per-device': { tumbling: '10s', by: ['device'], delay: '0s', idle: '10m' } },
    upstreams: { test: { http: { url: `http://127.0.0.1:${upstream}/` }, batch: { age: '50ms' } } },
    log: { level: 'warn' },
    plugins: ['./own.mjs'],
    sources: { own: { own: {} } },
  }
}

async function commands(executable: Executable, config: string): Promise<void> {
  const version = await runExecutable(executable, ['version', '--json'])
  assert.equal(version.code, 0, version.err)
  const said = JSON.parse(version.out) as { node: string; warnings?: string[] }
  assert.equal(said.warnings !== undefined, said.node === 'v20.11.0', 'the version warns of a Node with known flaws')
  const licenses = await runExecutable(executable, ['version', '--licenses'])
  assert.match(licenses.out, /\nzod \d[^\n]* \(MIT\)\n/)
  assert.match(licenses.out, /Node\.js v\d/)
  const check = await runExecutable(executable, ['check', '--config', config])
  assert.equal(check.code, 0, check.out + check.err)
}

async function deliversResults(running: Running, receiver: Receiver): Promise<void> {
  await publishWindow(running, 0)
  await until(receiver, () => windows(receiver).has(0))
  assert.deepEqual(windows(receiver).get(0), [{ count: READINGS, sum: 45 }])
}

async function healthOf(executable: Executable, data: string): Promise<void> {
  const health = await runExecutable(executable, ['health', '--data', data])
  assert.equal(health.code, 0, health.err)
  const status = await runExecutable(executable, ['status', '--json', '--data', data])
  assert.equal(JSON.parse(status.out).gateway, 'smoke')
  const devices = await runExecutable(executable, ['devices', '--json', '--data', data])
  assert.match(devices.out, /"own-device"/)
}

async function commandsDevice({ ports }: Running, receiver: Receiver): Promise<void> {
  const valve = await connectAsync(`mqtt://127.0.0.1:${ports.mqtt}`, { clientId: 'valve-1', reconnectPeriod: 0 })
  const heard = new Promise<void>((resolve) => {
    valve.on('message', (topic, payload) => {
      const { id, args } = JSON.parse(payload.toString()) as { id: string; args: unknown }
      assert.deepEqual(args, { angle: 30 })
      valve.publish(`${topic}/ack`, JSON.stringify({ id, ok: true }), { qos: 1 })
      resolve()
    })
  })
  await valve.subscribeAsync('command/valve-1/open', { qos: 1 })
  const body = JSON.stringify({ id: 'smoke-1', device: 'valve-1', command: 'open', args: { angle: 30 } })
  const headers = { 'content-type': 'application/json' }
  const answer = await fetch(`http://127.0.0.1:${ports.http}/api/commands`, { method: 'POST', body, headers })
  assert.equal(answer.status, 202)
  await heard
  const events = () => [...receiver.logs].flatMap(([name, log]) => (name.startsWith('event') ? [...log.values()] : []))
  await until(receiver, () => events().some(({ id, state }) => id === 'smoke-1' && state === 'acknowledged'))
  await valve.endAsync()
}

async function survivesKill(
  running: Running | undefined,
  start: () => Promise<Running>,
  receiver: Receiver,
): Promise<void> {
  assert.ok(running)
  receiver.mood = 'down'
  await publishWindow(running, 1)
  await publish(running, 2, 0, READINGS / 2)
  const { code } = await running.kill('SIGKILL')
  assert.equal(code, 'SIGKILL')
  const again = await start()
  receiver.mood = 'up'
  await publish(again, 2, READINGS / 2, READINGS + 1)
  await until(receiver, () => windows(receiver).has(2))
  const all = windows(receiver)
  for (const number of [0, 1, 2]) assert.deepEqual(all.get(number), [{ count: READINGS, sum: 45 }], `window ${number}`)
  assert.deepEqual(receiver.changed, [])
  for (const log of receiver.logs.values()) assert.deepEqual(holes(log), [])
}

async function stopsCleanly(running: Running | undefined, executable: Executable, data: string): Promise<void> {
  const ended = await running?.kill('SIGTERM')
  assert.equal(ended?.code, 0, ended?.err)
  const audit = await runExecutable(executable, ['audit', '--data', data])
  assert.equal(audit.code, 0, audit.out + audit.err)
}

/** A whole window and what closes it. */
function publishWindow(running: Running, number: number): Promise<void> {
  return publish(running, number, 0, READINGS + 1)
}

/** Readings of a window's device, acknowledged; number `READINGS` is after the window and closes it. */
async function publish({ ports }: Running, number: number, from: number, to: number): Promise<void> {
  const client = await connectAsync(`mqtt://127.0.0.1:${ports.mqtt}`, { connectTimeout: PATIENCE, reconnectPeriod: 0 })
  for (let i = from; i < to; i++) {
    const t = new Date(baseTime() + number * WINDOW + (i * WINDOW) / READINGS).toISOString()
    await client.publishAsync(`telemetry/pump-${number}`, JSON.stringify({ t, v: i }), { qos: 1 })
  }
  await client.endAsync()
}

/** A window's start some days ago: windows must not depend on the gateway's clock. */
function baseTime(): number {
  return Date.UTC(2026, 0, 5)
}

/** What came of each window, by number: more than one entry is a result sent under two numbers. */
function windows(receiver: Receiver): Map<number, { count: unknown; sum: unknown }[]> {
  const found = new Map<number, { count: unknown; sum: unknown }[]>()
  for (const [name, log] of receiver.logs) {
    if (!name.startsWith('result')) continue
    for (const record of log.values()) {
      const { start, count, fields, key } = record as unknown as {
        start: string
        count: number
        key: { device: string }
        fields: { v?: { sum: number } }
      }
      const number = (Date.parse(start) - baseTime()) / WINDOW
      if (key.device !== `pump-${number}`) continue
      found.set(number, [...(found.get(number) ?? []), { count, sum: fields.v?.sum }])
    }
  }
  return found
}

async function until(receiver: Receiver, done: () => boolean): Promise<void> {
  const deadline = performance.now() + PATIENCE
  while (!done()) {
    assert.ok(performance.now() < deadline, `what was awaited did not arrive in ${PATIENCE} ms`)
    let timer: NodeJS.Timeout | undefined
    const patience = new Promise<void>((resolve) => {
      timer = setTimeout(resolve, 1000)
    })
    await Promise.race([receiver.next(), patience])
    clearTimeout(timer)
  }
}
