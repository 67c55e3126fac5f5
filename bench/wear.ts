/**
 * `node --import tsx bench/wear.ts`: what a memory card has to bear. Bytes that the gateway's process caused to be
 * written to storage (`write_bytes` of /proc/PID/io: pages, without the file system's own journal) per byte of payload.
 */
import { connectAsync } from 'mqtt'
import { startSluice, writtenBytes } from './process.ts'

const SECONDS = Number(process.env.SECONDS ?? 10)
/** Values that differ, or compression would look better than it is. */
function payload(n: number): string {
  const temperature = Math.round((20 + 5 * Math.sin(n / 700) + Math.random()) * 100) / 100
  const humidity = Math.round((50 + 10 * Math.random()) * 10) / 10
  return JSON.stringify({ temperature, humidity, state: n % 7 ? 'running' : 'idle', event_time: Date.now() })
}

async function measure(rate: number, commit: string, compress: boolean): Promise<number> {
  const listen = { listen: '127.0.0.1:0' }
  const gateway = await startSluice({
    mqtt: listen,
    http: listen,
    journal: { commit, compress },
    log: { level: 'error' },
  })
  try {
    const client = await connectAsync(`mqtt://127.0.0.1:${gateway.ports.mqtt}`)
    const pid = gateway.process.pid as number
    const before = writtenBytes(pid)
    const start = performance.now()
    const acknowledged: Promise<unknown>[] = []
    let sent = 0
    let bytes = 0
    for (let now = 0; now < SECONDS * 1000; now = performance.now() - start) {
      for (; sent < (now / 1000) * rate; sent++) {
        const text = payload(sent)
        bytes += text.length
        acknowledged.push(client.publishAsync(`telemetry/device-${sent % 100}`, text, { qos: 1 }))
      }
      await new Promise((resolve) => setTimeout(resolve, 5))
    }
    await Promise.all(acknowledged)
    const written = writtenBytes(pid) - before
    await client.endAsync()
    return written / bytes
  } finally {
    await gateway.stop()
  }
}

async function main(): Promise<void> {
  process.stdout.write('rate/s  commit  compress  device bytes per payload byte\n')
  for (const rate of [100, 1000]) {
    for (const commit of ['1s', '20ms']) {
      for (const compress of [false, true]) {
        const ratio = await measure(rate, commit, compress)
        process.stdout.write(
          `${String(rate).padEnd(8)}${commit.padEnd(8)}${String(compress).padEnd(10)}${ratio.toFixed(2)}\n`,
        )
      }
    }
  }
}

void main()
