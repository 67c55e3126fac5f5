/** `kill -9` at random moments under load, with an uplink that comes and goes; everything is checked at the end. */
import { seeded } from '../../examples/random.ts'
import { createSite, type GatewayProcess, runCommand } from '../support/gateway-process.ts'
import { createPromises, deviceName, type Promises, publish, READINGS_PER_WINDOW } from './devices.ts'
import { holes, type Receiver, startReceiver } from './receiver.ts'

export interface Outcome {
  readonly sent: number
  readonly acknowledged: number
  readonly records: number
  readonly repeats: number
  /** What was broken, in words; empty when every promise was kept. */
  readonly failures: readonly string[]
}

export const DEVICES = 20
export const WINDOW = 10_000
/** How long nothing may come at the end while windows are missing, ms. */
const FINISH = 60_000
/** Nothing comes for this long: it is looked whether all is there, ms. */
const QUIET = 200

export async function killCycles(cycles: number, seed: number, progress: (text: string) => void): Promise<Outcome> {
  const random = seeded(seed)
  const receiver = await startReceiver()
  const site = createSite(crashConfig(receiver.port))
  const promises = createPromises(DEVICES)
  const base = eventBase()
  try {
    for (let cycle = 0; cycle < cycles; cycle++) {
      const gateway = await site.start()
      await loadAndKill(gateway, receiver, promises, base, random)
      progress(`cycle ${cycle + 1}/${cycles}: ${total(promises.sent)} sent`)
    }
    receiver.mood = 'up'
    const failures = await finish(await site.start(), receiver, promises, base)
    const audit = await runCommand(['audit', '--data', site.data])
    if (audit.code !== 0) failures.push(`audit exits ${audit.code}: ${audit.out}${audit.err}`)
    return {
      sent: total(promises.sent),
      acknowledged: total(promises.acknowledged.map((set) => set.size)),
      records: total([...receiver.logs.values()].map((log) => log.size)),
      repeats: receiver.repeats.count,
      failures,
    }
  } finally {
    await receiver.close()
    site.remove()
  }
}

/** @param more of the config, in place of what stands here */
export function crashConfig(upstream: number, more: object = {}): object {
  return {
    gateway: { id: 'crash' },
    mqtt: { listen: '127.0.0.1:0' },
    http: { listen: '127.0.0.1:0' },
    decode: [{ topic: 'telemetry/{device}', time: 't' }],
    windows: {
      'per-device': { tumbling: '10s', by: ['device'], idle: '10m' },
      sliding: { hopping: { size: '30s', slide: '10s' }, by: ['device'], idle: '10m' },
    },
    upstreams: { test: { http: { url: `http://127.0.0.1:${upstream}/` }, batch: { age: '50ms' } } },
    log: { level: 'warn' },
    ...more,
  }
}

async function loadAndKill(
  gateway: GatewayProcess,
  receiver: Receiver,
  promises: Promises,
  base: number,
  random: () => number,
): Promise<void> {
  const sender = await publish(gateway.ports.mqtt as number, promises, base)
  const moods = ['up', 'up', 'down', 'forgetful', 'lossy'] as const
  // The moments of the crash, and of the uplink's coming and going before it, are the experiment: this waits for time.
  for (let turns = 1 + Math.floor(random() * 3); turns > 0; turns--) {
    receiver.mood = moods[Math.floor(random() * moods.length)] ?? 'up'
    await new Promise((resolve) => setTimeout(resolve, 30 + random() * 200))
  }
  await gateway.kill('SIGKILL')
  await sender.ended
}

/** Two days ago, at the beginning of a window, so that reading n is in window n / 10. */
export function eventBase(): number {
  return Math.floor((Date.now() - 48 * 3_600_000) / WINDOW) * WINDOW
}

/** Closes all windows, waits for them at the receiver and says what is wrong with them; stops the gateway. */
export async function finish(
  gateway: GatewayProcess,
  receiver: Receiver,
  promises: Promises,
  base: number,
): Promise<string[]> {
  // A reading three windows past each device's last closes all that was open.
  const highest = Math.max(...promises.sent)
  for (let device = 0; device < DEVICES; device++) {
    promises.sent[device] = (Math.floor(highest / READINGS_PER_WINDOW) + 4) * READINGS_PER_WINDOW
  }
  const lastWindow = base + (Math.floor(highest / READINGS_PER_WINDOW) + 1) * WINDOW
  const sender = await publish(gateway.ports.mqtt as number, promises, base, DEVICES)
  await sender.finished
  sender.destroy()
  for (let since = performance.now(); performance.now() - since < FINISH; ) {
    if (await quiet(receiver)) {
      if (complete(receiver, promises, base, lastWindow)) break
    } else since = performance.now()
  }
  const failures = verify(receiver, promises, base, lastWindow)
  const code = await gateway.kill('SIGTERM')
  if (code !== 0) failures.push(`SIGTERM: exit ${code}`)
  return failures
}

/** True when no batch comes for a while. */
function quiet(receiver: Receiver): Promise<boolean> {
  const silence = new Promise<boolean>((resolve) => setTimeout(resolve, QUIET, true))
  return Promise.race([receiver.next().then(() => false), silence])
}

interface WindowOf {
  readonly window: string
  readonly key: { readonly device: string }
  readonly start: string
  readonly count: number
  readonly fields: { readonly v: { readonly sum: number; readonly count: number } }
}

function windowsOf(receiver: Receiver): Map<string, WindowOf[]> {
  const windows = new Map<string, WindowOf[]>()
  for (const [name, log] of receiver.logs) {
    if (!name.startsWith('result')) continue
    for (const record of log.values()) {
      if (record.kind !== 'window') continue
      const window = record as unknown as WindowOf
      const key = `${window.window} ${window.key.device} ${Date.parse(window.start)}`
      windows.set(key, [...(windows.get(key) ?? []), window])
    }
  }
  return windows
}

/** Readings of one device that must be in the window that starts at `start`, or may be. */
function expected(promises: Promises, device: number, from: number): { must: number[]; may: number[] } {
  const must: number[] = []
  const may: number[] = []
  for (let n = from; n < from + READINGS_PER_WINDOW; n++) {
    if (promises.acknowledged[device]?.has(n)) must.push(n)
    else if (n < (promises.sent[device] as number)) may.push(n)
  }
  return { must, may }
}

function complete(receiver: Receiver, promises: Promises, base: number, lastWindow: number): boolean {
  const windows = windowsOf(receiver)
  for (let device = 0; device < DEVICES; device++) {
    for (let start = lastWindow - WINDOW; start >= base; start -= WINDOW) {
      const { must } = expected(promises, device, (start - base) / 1000)
      if (must.length === 0) continue
      if (!windows.has(`per-device ${deviceName(device)} ${start}`)) return false
    }
  }
  return true
}

function verify(receiver: Receiver, promises: Promises, base: number, lastWindow: number): string[] {
  const failures: string[] = [...receiver.changed]
  for (const [name, log] of receiver.logs) {
    const missing = holes(log)
    if (missing.length > 0) failures.push(`${name}: no record and no gap for ${missing.slice(0, 5).join(', ')}…`)
  }
  const epochs = [...receiver.logs.keys()].filter((name) => name.startsWith('result'))
  if (epochs.length !== 1) failures.push(`results came under ${epochs.length} epochs`)
  const windows = windowsOf(receiver)
  for (const [key, records] of windows) {
    if (records.length > 1) failures.push(`${key} was emitted ${records.length} times`)
  }
  for (let device = 0; device < DEVICES; device++) {
    for (let start = base; start < lastWindow; start += WINDOW) {
      const record = windows.get(`per-device ${deviceName(device)} ${start}`)?.[0]
      failures.push(...verifyWindow(record, promises, device, (start - base) / 1000))
    }
  }
  return failures
}

function verifyWindow(record: WindowOf | undefined, promises: Promises, device: number, from: number): string[] {
  const { must, may } = expected(promises, device, from)
  const failures: string[] = []
  let sum = record?.fields.v.sum ?? 0
  let counted = 0
  for (let n = from; n < from + READINGS_PER_WINDOW; n++) {
    const times = sum % 4
    sum = Math.floor(sum / 4)
    counted += times
    if (times > 1) failures.push(`${deviceName(device)} reading ${n} was counted ${times} times`)
    if (times === 0 && must.includes(n))
      failures.push(`${deviceName(device)} reading ${n} was acknowledged and is lost`)
    if (times > 0 && !must.includes(n) && !may.includes(n))
      failures.push(`${deviceName(device)} reading ${n} was never sent`)
  }
  if (record && record.count !== counted)
    failures.push(`${deviceName(device)} window ${from}: count ${record.count}, sum says ${counted}`)
  return failures
}

function total(numbers: readonly number[]): number {
  return numbers.reduce((sum, number) => sum + number, 0)
}
