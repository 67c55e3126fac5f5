/**
 * `node --import tsx bench/main.ts outbox`: how soon a large backlog opens, and how fast it drains to a sink on this
 * machine. BACKLOG=1000000000 (bytes)
 */
import { createServer, type Server } from 'node:http'
import { join } from 'node:path'
import { systemClock } from '../gateway/clock.ts'
import { openDurableOutbox } from '../gateway/outbox/durable.ts'
import { startSluice, temporaryFolder } from './process.ts'

const BACKLOG = Number(process.env.BACKLOG ?? 1e9)
const SINK = 'local'

function options(data: string) {
  const whenFull = { event: 'drop_oldest', result: 'drop_oldest', reading: 'drop_oldest' } as const
  return {
    gateway: 'bench',
    journal: 'bench',
    directory: join(data, 'outbox'),
    maxBytes: 4 * BACKLOG,
    reserve: { event: 0, result: 0, reading: 0 },
    whenFull,
    // As large on disk as its records are.
    compress: false,
  }
}

/** Readings of about 220 bytes until the backlog is as large as it should be; how many. */
async function fill(data: string): Promise<number> {
  const outbox = await openDurableOutbox(options(data), { clock: systemClock })
  outbox.sink(SINK, ['reading'])
  const time = new Date().toISOString()
  let records = 0
  while (outbox.status().bytes < BACKLOG) {
    for (let i = 0; i < 20_000; i++, records++) {
      const fields = { temperature: 20 + (records % 977) / 100, humidity: 40 + (records % 613) / 10, n: records }
      const tags = { line: 'a', hall: 'north' }
      outbox.append('reading', records + 1, {
        kind: 'reading',
        device: `device-${records % 100}`,
        time,
        received: time,
        source: 'mqtt',
        tags,
        fields,
      })
    }
    await outbox.commit(records, true)
  }
  await outbox.close()
  return records
}

/** An upstream that takes everything; calls back with the number of records of each batch. */
async function startSink(took: (records: number) => void): Promise<{ server: Server; port: number }> {
  const server = createServer((request, response) => {
    let head = ''
    request.on('data', (chunk: Buffer) => {
      if (head === '') head = chunk.toString('latin1', 0, 200)
    })
    request.on('end', () => {
      response.writeHead(204).end()
      took(Number(/"count":(\d+)/.exec(head)?.[1] ?? 0))
    })
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const address = server.address()
  return { server, port: address !== null && typeof address === 'object' ? address.port : 0 }
}

export async function measureOutbox(): Promise<string> {
  const folder = temporaryFolder()
  const data = join(folder.path, 'data')
  try {
    const records = await fill(data)
    const before = performance.now()
    const outbox = await openDurableOutbox(options(data), { clock: systemClock })
    const opened = performance.now() - before
    const { bytes } = outbox.status()
    await outbox.close()
    const { rate } = await drain(data, records)
    return `outbox: ${(bytes / 1e6).toFixed(0)} MB opens in ${opened.toFixed(0)} ms, drains ${(rate / 1000).toFixed(0)} k records/s over HTTP`
  } finally {
    folder.remove()
  }
}

async function drain(data: string, records: number): Promise<{ rate: number }> {
  let left = records
  let first = 0
  let done: () => void = () => undefined
  const drained = new Promise<void>((resolve) => {
    done = resolve
  })
  const { server, port } = await startSink((count) => {
    first ||= performance.now()
    left -= count
    if (left <= 0) done()
  })
  const listen = { listen: '127.0.0.1:0' }
  const upstreams = { [SINK]: { http: { url: `http://127.0.0.1:${port}/` }, raw: true, batch: { count: 5000 } } }
  const budget = { maxBytes: 4 * BACKLOG }
  const gateway = await startSluice({ mqtt: listen, http: listen, upstreams, outbox: budget }, data)
  try {
    await drained
    return { rate: records / ((performance.now() - first) / 1000) }
  } finally {
    await gateway.stop()
    server.close()
  }
}
