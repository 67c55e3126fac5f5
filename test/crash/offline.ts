/** Hours without an uplink, taken in as fast as the gateway takes them, then drained. */
import { readFileSync } from 'node:fs'
import { createSite, type GatewayProcess, runCommand } from '../support/gateway-process.ts'
import { createPromises, publish } from './devices.ts'
import { crashConfig, DEVICES, finish, WINDOW } from './kill.ts'
import { startReceiver } from './receiver.ts'

export interface OfflineOutcome {
  readonly readings: number
  readonly records: number
  /** Records sent again though they were acknowledged. */
  readonly repeats: number
  /** Of the gateway, MB; NaN where there is no /proc. */
  readonly peakMemory: number
  /** After the first tenth of the readings, MB: what comes later must not add to it. */
  readonly earlyMemory: number
  /** What was broken, in words. */
  readonly failures: readonly string[]
}

/** Highest resident memory so far, MB; NaN where there is no /proc. */
function peakMemory({ child }: GatewayProcess): number {
  const status = process.platform === 'linux' ? readFileSync(`/proc/${child.pid}/status`, 'latin1') : ''
  return Number(/VmHWM:\s+(\d+)/.exec(status)?.[1]) / 1024
}

/** Each of 20 devices reads once a second of its own time, which ends two days ago at the latest. */
export async function offline(readings: number, config: object = {}): Promise<OfflineOutcome> {
  const receiver = await startReceiver()
  const site = createSite(crashConfig(receiver.port, config))
  const span = (readings / DEVICES) * 1000
  const base = Math.floor((Date.now() - 48 * 3_600_000 - span) / WINDOW) * WINDOW
  const promises = createPromises(DEVICES)
  receiver.mood = 'down'
  const gateway = await site.start()
  const send = async (limit: number) => {
    const sender = await publish(gateway.ports.mqtt as number, promises, base, limit)
    await sender.finished
    sender.destroy()
  }
  try {
    await send(readings / 10)
    const earlyMemory = peakMemory(gateway)
    await send((readings * 9) / 10)
    const peak = peakMemory(gateway)
    receiver.mood = 'up'
    const failures = await finish(gateway, receiver, promises, base)
    const audit = await runCommand(['audit', '--data', site.data])
    if (audit.code !== 0) failures.push(`audit exits ${audit.code}: ${audit.out}${audit.err}`)
    const records = [...receiver.logs.values()].reduce((sum, log) => sum + log.size, 0)
    return { readings, records, repeats: receiver.repeats.count, peakMemory: peak, earlyMemory, failures }
  } finally {
    await gateway.kill('SIGKILL')
    await receiver.close()
    site.remove()
  }
}
