/** The demo's embedded upstream: an HTTP endpoint on loopback that takes batches and counts them. */
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'

export interface DemoUpstream {
  readonly port: number
  readonly seen: { batches: number; records: number; bytes: number }
  stop(): Promise<void>
}

export async function startUpstream(): Promise<DemoUpstream> {
  const seen = { batches: 0, records: 0, bytes: 0 }
  const server = createServer((request, response) => {
    const chunks: Buffer[] = []
    request.on('data', (chunk: Buffer) => chunks.push(chunk))
    request.on('end', () => {
      const body = Buffer.concat(chunks)
      const { count } = JSON.parse(body.toString()) as { count: number }
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
    stop: () =>
      new Promise((resolve) => {
        server.close(() => resolve())
        server.closeAllConnections()
      }),
  }
}
