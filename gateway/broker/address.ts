/** Addresses to listen on: `host:port`, `[v6]:port`, `:port` or `port`. */
import { BlockList, isIP } from 'node:net'
import { StartError } from '../errors.ts'

export interface Address {
  readonly host: string
  readonly port: number
}

/** @throws StartError when it is none */
export function parseAddress(text: string): Address {
  const match = /^(?:\[([^\]]+)\]|([^:[\]]*)):(\d{1,5})$|^(\d{1,5})$/.exec(text.trim())
  const port = Number(match?.[3] ?? match?.[4])
  const host = match?.[1] ?? match?.[2] ?? ''
  if (!match || port > 65_535)
    throw new StartError('SLUICE_ADDRESS', `cannot listen on ${text}: write host:port, e.g. 127.0.0.1:1883`)
  return { host: host || '0.0.0.0', port }
}

export function isLoopback(host: string): boolean {
  if (host === 'localhost') return true
  const version = isIP(host)
  if (version === 0) return false
  const loopback = new BlockList()
  loopback.addSubnet('127.0.0.0', 8, 'ipv4')
  loopback.addAddress('::1', 'ipv6')
  return loopback.check(host, version === 4 ? 'ipv4' : 'ipv6')
}

/** IPv4 in IPv6 is IPv4: the limits are per machine. */
export function plainAddress(address: string | undefined): string {
  if (address === undefined) return 'unknown'
  return address.startsWith('::ffff:') && address.includes('.') ? address.slice(7) : address
}
