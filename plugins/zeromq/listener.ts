/** Listens on one endpoint; every connection becomes a peer. */
import { rm } from 'node:fs/promises'
import { connect, createServer, type Server, type Socket } from 'node:net'
import { NotConnectedError } from '../../gateway/errors.ts'
import { addressOf, type Endpoint } from './endpoint.ts'

export interface Listener {
  /** 0 for IPC. */
  readonly port: number
  close(): Promise<void>
}

/** Counts connections, in all and by address. */
export interface Doorkeeper {
  /** False when there is no place for this one. */
  admits(socket: Socket): boolean
}

export function createDoorkeeper(inAll: number, perAddress: number): Doorkeeper {
  const byAddress = new Map<string, number>()
  let open = 0
  return {
    admits(socket) {
      const address = socket.remoteAddress ?? 'ipc'
      const same = byAddress.get(address) ?? 0
      if (open >= inAll || same >= perAddress) return false
      open++
      byAddress.set(address, same + 1)
      socket.once('close', () => {
        open--
        const left = (byAddress.get(address) ?? 1) - 1
        if (left === 0) byAddress.delete(address)
        else byAddress.set(address, left)
      })
      return true
    },
  }
}

/** @throws NotConnectedError the address is taken or is none of ours */
export async function listen(
  endpoint: Endpoint,
  resolve: (path: string) => string,
  accept: (socket: Socket) => void,
): Promise<Listener> {
  const address = addressOf(endpoint, resolve)
  if (address.path !== undefined) await removeStale(address.path)
  // Half-open: what a peer has sent is read to its end when we have already said that we go.
  const server = createServer({ allowHalfOpen: true }, accept)
  await new Promise<void>((done, reject) => {
    // Stays there: a connection that cannot be accepted later, for want of descriptors, must not end the process.
    server.on('error', (cause) =>
      reject(
        new NotConnectedError('SLUICE_ZEROMQ_LISTEN', `cannot listen on ${endpoint.url}: ${cause.message}`, { cause }),
      ),
    )
    server.listen(address, done)
  })
  return { port: portOf(server), close: () => new Promise((done) => server.close(() => done())) }
}

/** A socket file that nobody listens on is left over from a crash. */
async function removeStale(path: string): Promise<void> {
  const stale = await new Promise<boolean>((resolve) => {
    const probe = connect(path)
    probe.once('connect', () => {
      probe.destroy()
      resolve(false)
    })
    probe.once('error', (error: NodeJS.ErrnoException) => resolve(error.code === 'ECONNREFUSED'))
  })
  if (stale) await rm(path, { force: true })
}

function portOf(server: Server): number {
  const address = server.address()
  return address === null || typeof address === 'string' ? 0 : address.port
}
