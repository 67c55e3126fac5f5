/**
 * `node --import tsx bench/wear.ts`: what a memory card has to bear, in bytes written per byte of payload.
 *
 * As root the data lies on an ext4 of its own on a loop device, whose counters show all that reaches the card: once as
 * `mkfs.ext4` makes it, which journals its own blocks at each commit, and once without that journal. Otherwise the pages
 * are counted that the kernel wrote for the process (`write_bytes` of /proc/PID/io), which is less. Beside it stands
 * what no log that grows can beat by much: append and fdatasync, nothing else.
 *
 * SECONDS=10 PAYLOAD=200 (bytes) QOS=1 COMMITS=1s,20ms
 */
import { closeSync, fdatasyncSync, openSync, writeSync } from 'node:fs'
import { join } from 'node:path'
import { connectAsync } from 'mqtt'
import { parseDuration } from '../gateway/config/duration.ts'
import { createLoopDisk, type LoopDisk } from './loop-disk.ts'
import { startSluice, temporaryFolder, writtenBytes } from './process.ts'

const SECONDS = Number(process.env.SECONDS ?? 10)
const PAYLOAD = Number(process.env.PAYLOAD ?? 200)
const QOS = Number(process.env.QOS ?? 1) as 0 | 1
const RATES = [100, 1000]
const COMMITS = (process.env.COMMITS ?? '1s,20ms').split(',')
const FILE_SYSTEMS = { 'ext4, with its journal': [], 'ext4, without a journal': ['^has_journal'] }

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
    disk?.settle()
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
async function measureAppend(disk: LoopDisk | undefined, rate: number, commit: string): Promise<number> {
  const folder = temporaryFolder()
  const fd = openSync(join(disk?.path ?? folder.path, `append-${rate}-${commit}`), 'w')
  const written = disk ? disk.written : () => writtenBytes(process.pid)
  disk?.settle()
  const before = written()
  let waiting = ''
  let bytes = 0
  const timer = setInterval(() => {
    if (waiting === '') return
    writeSync(fd, waiting)
    fdatasyncSync(fd)
    waiting = ''
  }, parseDuration(commit))
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

async function measure(disk: LoopDisk | undefined): Promise<void> {
  process.stdout.write('rate/s  commit  append+fdatasync  plain  compressed\n')
  for (const rate of RATES) {
    for (const commit of COMMITS) {
      const alone = await measureAppend(disk, rate, commit)
      const plain = await measureGateway(disk, rate, commit, false)
      const compressed = await measureGateway(disk, rate, commit, true)
      const figures = [alone.toFixed(2).padEnd(18), plain.toFixed(2).padEnd(7), compressed.toFixed(2)]
      process.stdout.write(`${String(rate).padEnd(8)}${commit.padEnd(8)}${figures.join('')}\n`)
    }
  }
}

async function main(): Promise<void> {
  process.stdout.write(`payload of ${PAYLOAD} bytes, QoS ${QOS}\n`)
  for (const [name, features] of Object.entries(FILE_SYSTEMS)) {
    const disk = createLoopDisk(features)
    process.stdout.write(`\n${disk ? name : 'pages of the process'}\n`)
    try {
      await measure(disk)
    } finally {
      disk?.remove()
    }
    if (!disk) return
  }
}

void main()
