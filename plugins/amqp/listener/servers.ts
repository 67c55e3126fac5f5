/** The sockets that listen. */
import { createServer, type Server, type Socket } from 'node:net'
import { NotConnectedError, reasonOf } from '../../../gateway/errors.ts'
import type { Address } from '../config.ts'

export interface Servers {
  /** The first under the name given, further ones numbered. */
  ports(name: string): Record<string, number>
  /** Rejects when one of them fails. */
  readonly failed: Promise<never>
  /** Nobody is let in any more; resolves when all connections have ended. */
  close(): Promise<void>
}

/** @throws NotConnectedError one cannot listen */
export async function openServers(addresses: readonly Address[], serve: (socket: Socket) => void): Promise<Servers> {
  const servers: Server[] = []
  const close = async () => {
    await Promise.all(servers.map((server) => new Promise<void>((resolve) => server.close(() => resolve()))))
  }
  try {
    for (const address of addresses) servers.push(await listen(address, serve))
  } catch (error) {
    await close()
    throw error
  }
  const failed = Promise.race(servers.map(failure))
  failed.catch(() => {})
  return {
    failed,
    close,
    ports: (name) =>
      Object.fromEntries(
        servers.flatMap((server, i) => {
          const address = server.address()
          if (address === null || typeof address === 'string') return []
          return [[i === 0 ? name : `${name}-${i}`, address.port]]
        }),
      ),
  }
}

function listen({ host, port }: Address, serve: (socket: Socket) => void): Promise<Server> {
  return new Promise((resolve, reject) => {
    const server = createServer({ noDelay: true }, serve)
    server.once('error', (cause) =>
      reject(
        new NotConnectedError('SLUICE_AMQP_LISTEN', `cannot listen on ${host}:${port}: ${reasonOf(cause)}`, { cause }),
      ),
    )
    server.listen(port, host, () => resolve(server))
  })
}

function failure(server: Server): Promise<never> {
  return new Promise((_, reject) => {
    server.on('error', (cause) =>
      reject(new NotConnectedError('SLUICE_AMQP_LISTEN', `no longer listening: ${reasonOf(cause)}`, { cause })),
    )
  })
}
