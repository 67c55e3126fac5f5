/**
 * `node --import tsx bench/wear.ts`: what a memory card has to bear, in bytes written per byte of payload.
 *
 * As root the data lies on an ext4 of its own on a loop device, whose counters show all that reaches the card, the file
 * system's journal included. Otherwise the pages are counted that the kernel wrote for the process (`write_bytes` of
 * /proc/PID/io), which is less. The first line is what no log can beat by much: append and fdatasync, nothing else.
 *
 * SECONDS=10 PAYLOAD=200 (bytes) QOS=1
 */
import { closeSync, fdatasyncSync, openSync, writeSync } from 'node:fs'
import { join } from 'node:path'
import { connectAsync } from 'mqtt'
import { createLoopDisk, type LoopDisk } from './loop-disk.ts'
import { startSluice, temporaryFolder, writtenBytes } from './process.ts'

const SECONDS = Number(process.env.SECONDS ?? 10)
const PAYLOAD = Number(process.env.PAYLOAD ?? 200)
const QOS = Number(process.env.QOS ?? 1) as 0 | 1
const RATES = [100, 1000]
const COMMITS = { '1s': 1000, '20ms': 20 }

/** Values that differ, or compression would look better than it is. */
function payload(n: number): string {
  const fields: Record<string, unknown> = {
    temperature: Math.round((20 + 5 * Math.sin(n / 700) + Math.random()) * 100) / 100,
    humidity: Math.round((50 + 10 * Math.random()) * 10) / 10,
    state: n % 7 ? 'running' : 'idle',
    event_time: Date.now(),
  }
  for (let i = 1; JSON.stringify(fields).length < PAYLOAD - 20; i++)
    fields[`channel_${i}`] = Math.round(Math.random() * 10_000) / 100
  return JSON.stringify(fields)
}

/** Calls `send` `rate` times a second, evenly; resolves after `SECONDS`. */
async function evenly(rate: number, send: (n: number) => void): Promise<void> {
  const start = performance.now()
  let sent = 0
  for (let now = 0; now < SECONDS * 1000; now = performance.now() - start) {
    for (; sent < (now / 1000) * rate; sent++) send(sent)
    await new Promise((resolve) => setTimeout(resolve, 5))
  }
}

async function measureGateway(
  disk: LoopDisk | undefined,
  rate: number,
  commit: string,
  compress: boolean,
): Promise<number> {
  const listen = { listen: '127.0.0.1:0' }
  const config = { mqtt: listen, http: listen, journal: { commit, compress }, log: { level: 'error' } }
  const gateway = await startSluice(config, disk && join(disk.path, `${rate}-${commit}-${compress}`))
  const written = disk ? disk.written : () => writtenBytes(gateway.process.pid as number)
  try {
    const client = await connectAsync(`mqtt://127.0.0.1:${gateway.ports.mqtt}`)
    const acknowledged: Promise<unknown>[] = []
    let bytes = 0
    const before = written()
    await evenly(rate, (n) => {
      const text = payload(n)
      bytes += text.length
      acknowledged.push(client.publishAsync(`telemetry/device-${n % 100}`, text, { qos: QOS }))
    })
    await Promise.all(acknowledged)
    const ratio = (written() - before) / bytes
    await client.endAsync()
    return ratio
  } finally {
    await gateway.stop()
  }
}

/** The same payload, appended and synced as often, without any log around it. */
async function measureAppend(disk: LoopDisk | undefined, rate: number, commit: number): Promise<number> {
  const folder = temporaryFolder()
  const fd = openSync(join(disk?.path ?? folder.path, `append-${rate}-${commit}`), 'w')
  const written = disk ? disk.written : () => writtenBytes(process.pid)
  const before = written()
  let waiting = ''
  let bytes = 0
  const timer = setInterval(() => {
    if (waiting === '') return
    writeSync(fd, waiting)
    fdatasyncSync(fd)
    waiting = ''
  }, commit)
  await evenly(rate, (n) => {
    const text = payload(n)
    bytes += text.length
    waiting += text
  })
  clearInterval(timer)
  const ratio = (written() - before) / (bytes - waiting.length)
  closeSync(fd)
  folder.remove()
  return ratio
}

async function main(): Promise<void> {
  const disk = createLoopDisk()
  const how = disk ? 'bytes of a loop device with ext4' : 'pages of the process, without the file system’s journal'
  process.stdout.write(`payload of ${PAYLOAD} bytes, QoS ${QOS}; counted: ${how}\n`)
  process.stdout.write('rate/s  commit  append+fdatasync  plain  compressed\n')
  try {
    for (const rate of RATES) {
      for (const [commit, ms] of Object.entries(COMMITS)) {
        const alone = await measureAppend(disk, rate, ms)
        const plain = await measureGateway(disk, rate, commit, false)
        const compressed = await measureGateway(disk, rate, commit, true)
        const figures = [alone.toFixed(2).padEnd(18), plain.toFixed(2).padEnd(7), compressed.toFixed(2)]
        process.stdout.write(`${String(rate).padEnd(8)}${commit.padEnd(8)}${figures.join('')}\n`)
      }
    }
  } finally {
    disk?.remove()
  }
}

void main()
