/** A TCP relay in front of a peer, so that connections can break without the peer's doing. */
import { connect, createServer, type Server, type Socket } from 'node:net'
import type { Peer } from '../contract.ts'
import { freePort } from '../mosquitto.ts'

export interface Proxy extends Peer {
  readonly port: number
}

export async function createProxy(to: number): Promise<Proxy> {
  const port = await freePort()
  const sockets = new Set<Socket>()
  let server: Server | undefined
  const keep = (socket: Socket, other: () => Socket | undefined) => {
    sockets.add(socket)
    socket.on('error', () => {})
    socket.once('close', () => {
      sockets.delete(socket)
      other()?.destroy()
    })
  }
  return {
    port,
    async start() {
      const listening = createServer((near) => {
        const far = connect(to, '127.0.0.1')
        keep(near, () => far)
        keep(far, () => near)
        near.pipe(far)
        far.pipe(near)
      })
      server = listening
      await new Promise<void>((resolve) => listening.listen(port, '127.0.0.1', resolve))
    },
    async stop() {
      const ending = server
      server = undefined
      if (!ending) return
      const closed = new Promise((resolve) => ending.close(resolve))
      for (const socket of sockets) socket.destroy()
      await closed
    },
  }
}
