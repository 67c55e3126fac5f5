import assert from 'node:assert/strict'
import { setMaxListeners } from 'node:events'
import { readFileSync } from 'node:fs'
import { type TestContext, test } from 'node:test'
import { modemStatuses } from '../../../examples/modems/sample.ts'
import { parsePskFile } from '../../../plugins/coap/dtls/psk-file.ts'
import { type Receiver, startReceiver } from '../../crash/receiver.ts'
import type { SentReading, SentWindow } from '../../support/batches.ts'
import { createSite, type GatewayProcess, runCommand } from '../../support/gateway-process.ts'
import { publishAll } from '../../support/mqtt-device.ts'
import { createRandom } from '../coap/network.ts'
import { coapModem, json, type Modem, mqttModem, type Ports, type Report, sendingModem, watchedModem } from './fleet.ts'

/** Of each modem, a second apart: five windows of ten seconds are closed by the last. */
const REPORTS = 60
const KEY_FILE = 'examples/constrained/keys'
const LWM2M = {
  objects: {
    33000: {
      name: 'modem',
      resources: {
        1: { name: 'cpuusage', type: 'integer' },
        2: { name: 'memoryusage', type: 'integer' },
        3: { name: 'interfacestatus', type: 'text' },
      },
    },
  },
  endpoints: { 'modem-watched-1': { observe: ['/33000/0'] }, 'modem-watched-2': { observe: ['/33000/0'] } },
}

function config(id: string, upstream: number, listen: Ports = { mqtt: 0, dtls: 0, lwm2m: 0 }) {
  const at = (port: number) => `127.0.0.1:${port}`
  const coap = { listen: at(0), dtls: { listen: at(listen.dtls), pskFile: `${process.cwd()}/${KEY_FILE}` } }
  return {
    gateway: { id },
    mqtt: { listen: at(listen.mqtt) },
    http: { listen: at(0) },
    sources: { coap: { coap }, lwm2m: { lwm2m: { listen: at(listen.lwm2m), ...LWM2M } } },
    decode: [{ topic: 'telemetry/{device}', time: 'event_time' }],
    windows: { 'per-device': { tumbling: '10s', by: ['device'], delay: '2s', idle: '10m' } },
    upstreams: { cloud: { http: { url: `http://127.0.0.1:${upstream}/` }, raw: true, batch: { age: '50ms' } } },
    log: { level: 'error' },
  }
}

function portsOf({ ports }: GatewayProcess): Ports {
  return { mqtt: ports.mqtt ?? 0, dtls: ports['coap.dtls'] ?? 0, lwm2m: ports.lwm2m ?? 0 }
}

async function fleetOf(ports: Ports, loss: number): Promise<Modem[]> {
  const weather = { loss, random: createRandom(7) }
  const keys = parsePskFile(readFileSync(KEY_FILE, 'utf8')).entries
  const keyOf = (name: string) => keys.get(name)?.key ?? Buffer.alloc(0)
  const modems: Modem[] = []
  for (const n of [1, 2]) {
    modems.push(mqttModem(`modem-mqtt-${n}`, ports))
    modems.push(await coapModem(`modem-coap-${n}`, keyOf(`modem-coap-${n}`), ports, weather))
    modems.push(await sendingModem(`modem-sending-${n}`, ports, weather))
    modems.push(await watchedModem(`modem-watched-${n}`, ports, weather))
  }
  return modems
}

/** The fleet's statuses, dealt to so many modems. */
function reportsFor(count: number): Report[][] {
  const start = Math.floor((Date.now() - 3_600_000) / 10_000) * 10_000
  const dealt: Report[][] = Array.from({ length: count }, () => [])
  let i = 0
  for (const { cpuusage, memoryusage, interfacestatus } of modemStatuses(count * REPORTS, start)) {
    const time = start + Math.floor(i / count) * 1000
    dealt[i++ % count]?.push({ time, cpuusage: Number(cpuusage), memoryusage: Number(memoryusage), interfacestatus })
  }
  return dealt
}

/** Delivers all, in order; what a crash left unknown is delivered again. Returns the times of those reports. */
async function reportAll(
  modem: Modem,
  reports: readonly Report[],
  life: () => AbortController,
  kills: () => number,
  done: () => void,
) {
  const doubtful = new Set<number>()
  let connected: AbortSignal | undefined
  for (const report of reports) {
    for (;;) {
      const { signal } = life()
      const before = kills()
      try {
        if (connected !== signal) await modem.connect(signal)
        connected = signal
        await modem.deliver(report, signal)
        // A datagram that the killed gateway had taken may have come again to the next one.
        if (kills() !== before) doubtful.add(report.time)
        break
      } catch {
        doubtful.add(report.time)
        // Not before the gateway is there again.
        await new Promise((resolve) => setImmediate(resolve))
      }
    }
    done()
  }
  return doubtful
}

/** What came of a class, each record once, though a gateway that was killed sends some again. */
function recordsOf<T>({ logs }: Receiver, recordClass: 'result' | 'reading'): readonly T[] {
  const own = [...logs].filter(([name]) => name.startsWith(`${recordClass} `))
  return own.flatMap(([, records]) => [...records.values()]) as readonly unknown[] as readonly T[]
}

function resultsOf(receiver: Receiver) {
  return recordsOf<SentWindow>(receiver, 'result')
    .map(({ key, start, end, count, fields }) => ({ device: key.device as string, start, end, count, fields }))
    .sort((a, b) => a.device.localeCompare(b.device) || a.start.localeCompare(b.start))
}

/** What the same reports give when all come over MQTT. */
async function overMqtt(messages: readonly { topic: string; payload: string }[], windows: number) {
  const receiver = await startReceiver()
  const site = createSite(config('alone', receiver.port))
  const gateway = await site.start()
  await publishAll(gateway.ports.mqtt as number, messages)
  while (resultsOf(receiver).length < windows) await receiver.next()
  const results = resultsOf(receiver)
  await gateway.kill()
  await receiver.close()
  site.remove()
  return results
}

function newLife(): AbortController {
  const life = new AbortController()
  setMaxListeners(100, life.signal)
  return life
}

async function compare(t: TestContext, loss: number, crash: boolean): Promise<void> {
  const receiver = await startReceiver()
  const site = createSite(config('mixed', receiver.port))
  let gateway = await site.start()
  const ports = portsOf(gateway)
  site.configure(config('mixed', receiver.port, ports))
  const modems = await fleetOf(ports, loss)
  t.after(async () => {
    await gateway.kill('SIGKILL')
    for (const modem of modems) await modem.close()
    await receiver.close()
    site.remove()
  })
  const reports = reportsFor(modems.length)
  let life = newLife()
  let kills = 0
  let delivered = 0
  let half: (() => void) | undefined
  const halfway = new Promise<void>((resolve) => {
    half = resolve
  })
  const working = Promise.all(
    modems.map((modem, i) =>
      reportAll(
        modem,
        reports[i] as Report[],
        () => life,
        () => kills,
        () => {
          if (++delivered === (modems.length * REPORTS) / 2) half?.()
        },
      ),
    ),
  )
  if (crash) {
    await halfway
    kills++
    await gateway.kill('SIGKILL')
    gateway = await site.start()
    const before = life
    life = newLife()
    before.abort(new Error('the gateway was away'))
  }
  const doubtful = await working
  const windows = modems.length * 5
  /** How often each report is there. */
  const taken = () => {
    const times = new Map<string, number>()
    for (const { device, time } of recordsOf<SentReading>(receiver, 'reading'))
      times.set(`${device} ${time}`, (times.get(`${device} ${time}`) ?? 0) + 1)
    return times
  }
  while (resultsOf(receiver).length < windows || taken().size < modems.length * REPORTS) await receiver.next()

  // What was acknowledged is there once; what nobody knew of, once or twice.
  const times = taken()
  const messages = modems.flatMap(({ name }, i) =>
    (reports[i] as Report[]).flatMap((report) => {
      const often = times.get(`${name} ${new Date(report.time).toISOString()}`) ?? 0
      assert.ok(often === 1 || (often === 2 && doubtful[i]?.has(report.time)), `${name}: ${often} times`)
      return Array.from({ length: often }, () => ({ topic: `telemetry/${name}`, payload: json(report) }))
    }),
  )
  assert.deepEqual(resultsOf(receiver), await overMqtt(messages, windows))
  const audit = await runCommand(['audit', '--data', site.data])
  assert.equal(audit.code, 0, audit.out + audit.err)
}

const LIMIT = { timeout: 120_000 }

test('a fleet over MQTT, CoAP with DTLS, Send and observe has the windows it has over MQTT alone', LIMIT, (t) =>
  compare(t, 0, false),
)

test('so it has when one datagram in ten is lost and the gateway is killed in the middle', LIMIT, (t) =>
  compare(t, 0.1, true),
)
