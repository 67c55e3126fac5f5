/** A real HTTP server on a free port that remembers what it was sent and answers as it is told. */
import { createServer, type IncomingHttpHeaders, type Server } from 'node:http'
import type { AddressInfo, Socket } from 'node:net'
import type { Peer } from '../contract.ts'
import { freePort } from '../mosquitto.ts'

export interface Taken {
  readonly method: string
  readonly path: string
  readonly headers: IncomingHttpHeaders
  readonly body: Buffer
}

export interface Answering {
  readonly status: number
  readonly headers?: Readonly<Record<string, string>>
  readonly body?: string
}

export interface Endpoint extends Peer {
  readonly port: number
  readonly taken: Taken[]
  /** Connections accepted. */
  connections: number
  /** 204 unless set; null never answers. */
  answer: (request: Taken) => Answering | null
}

export async function createEndpoint(): Promise<Endpoint> {
  const sockets = new Set<Socket>()
  let server: Server | undefined
  const endpoint: Endpoint = {
    port: await freePort(),
    taken: [],
    connections: 0,
    answer: () => ({ status: 204 }),
    async start() {
      const own = createServer((request, response) => {
        const chunks: Buffer[] = []
        request.on('data', (chunk: Buffer) => chunks.push(chunk))
        request.on('end', () => {
          const { method = '', url = '', headers } = request
          const taken = { method, path: url, headers, body: Buffer.concat(chunks) }
          endpoint.taken.push(taken)
          const answer = endpoint.answer(taken)
          if (answer) response.writeHead(answer.status, answer.headers).end(answer.body)
        })
      })
      own.on('connection', (socket) => {
        endpoint.connections++
        sockets.add(socket)
        socket.on('close', () => sockets.delete(socket))
      })
      await new Promise<void>((resolve) => own.listen(endpoint.port, '127.0.0.1', resolve))
      server = own
      if ((own.address() as AddressInfo).port !== endpoint.port) throw new Error('another port')
    },
    async stop() {
      const own = server
      server = undefined
      if (!own) return
      const closed = new Promise((resolve) => own.close(resolve))
      for (const socket of sockets) socket.destroy()
      await closed
    },
  }
  return endpoint
}
