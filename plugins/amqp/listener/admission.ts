/** How many may connect, in all and from one address. */
import type { Socket } from 'node:net'
import type { PluginContext } from '../../../gateway/plugin.ts'
import type { ListenConfig } from '../config.ts'

/** A dead peer is noticed by TCP after this, ms. */
const PROBE = 60_000

/** @returns for each new socket whether it may stay; the rest is hung up on */
export function createAdmission(config: ListenConfig, { metrics }: PluginContext): (socket: Socket) => boolean {
  const perAddress = new Map<string, number>()
  let total = 0
  return (socket) => {
    const address = socket.remoteAddress ?? ''
    const here = perAddress.get(address) ?? 0
    if (total >= config.connections || here >= config.connectionsPerAddress) {
      metrics.count('refused_connections')
      socket.destroy()
      return false
    }
    total++
    perAddress.set(address, here + 1)
    metrics.gauge('connections', total)
    socket.setNoDelay(true)
    socket.setKeepAlive(true, PROBE)
    // A close follows.
    socket.on('error', () => {})
    socket.once('close', () => {
      total--
      const left = (perAddress.get(address) ?? 1) - 1
      if (left === 0) perAddress.delete(address)
      else perAddress.set(address, left)
      metrics.gauge('connections', total)
    })
    return true
  }
}
