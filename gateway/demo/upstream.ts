/** The demo's embedded upstream: an HTTP endpoint on loopback that takes batches, counts them, and is away at times. */
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { gunzipSync } from 'node:zlib'
import type { Clock } from '../clock.ts'

export interface DemoUpstream {
  readonly port: number
  readonly seen: { batches: number; records: number; bytes: number }
  /** Whether the line is cut now. */
  readonly away: boolean
  stop(): Promise<void>
}

/** The line is cut so long after the start, for so long, and then again, ms. */
const FIRST_CUT = 13_000
const CUT = 9000
const CUT_EVERY = 100_000

export async function startUpstream(clock: Clock): Promise<DemoUpstream> {
  const seen = { batches: 0, records: 0, bytes: 0 }
  const began = clock.monotonic()
  const away = () => {
    const since = clock.monotonic() - began - FIRST_CUT
    return since >= 0 && since % CUT_EVERY < CUT
  }
  const server = createServer((request, response) => {
    if (away()) {
      request.socket.destroy()
      return
    }
    const chunks: Buffer[] = []
    request.on('data', (chunk: Buffer) => chunks.push(chunk))
    request.on('end', () => {
      const body = Buffer.concat(chunks)
      const { count } = JSON.parse(gunzipSync(body).toString()) as { count: number }
      seen.batches++
      seen.records += count
      seen.bytes += body.length
      response.writeHead(204).end()
    })
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  return {
    port: (server.address() as AddressInfo).port,
    seen,
    get away() {
      return away()
    },
    stop: () =>
      new Promise((resolve) => {
        server.close(() => resolve())
        server.closeAllConnections()
      }),
  }
}
