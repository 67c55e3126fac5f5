/** A real HTTP server as upstream. */
import { createServer, type IncomingHttpHeaders } from 'node:http'
import { createInbox, type Inbox, type SentBatch } from './batches.ts'

export interface HttpUpstream {
  readonly port: number
  readonly url: string
  readonly inbox: Inbox
  readonly requests: readonly { readonly headers: IncomingHttpHeaders; readonly batch: SentBatch }[]
  close(): Promise<void>
}

/** @param port 0 picks a free one */
export async function startHttpUpstream(gateway: string, port = 0): Promise<HttpUpstream> {
  const inbox = createInbox(gateway)
  const requests: { headers: IncomingHttpHeaders; batch: SentBatch }[] = []
  const server = createServer((request, response) => {
    const chunks: Buffer[] = []
    request.on('data', (chunk: Buffer) => chunks.push(chunk))
    request.on('end', () => {
      requests.push({ headers: request.headers, batch: inbox.take(Buffer.concat(chunks).toString()) })
      response.writeHead(204).end()
    })
  })
  await new Promise<void>((resolve, reject) => server.once('error', reject).listen(port, '127.0.0.1', resolve))
  const address = server.address()
  const bound = address !== null && typeof address === 'object' ? address.port : 0
  return {
    port: bound,
    url: `http://127.0.0.1:${bound}/ingest`,
    inbox,
    requests,
    close: () =>
      new Promise((resolve) => {
        server.closeAllConnections()
        server.close(() => resolve())
      }),
  }
}
