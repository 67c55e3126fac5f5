/** How addresses and durations stand in the config of this plugin. */
import { z } from 'zod'
import type { Address } from './udp.ts'

const UNITS: Readonly<Record<string, number>> = { ms: 1, s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 }

/** `'30s'` → 30000 (ms). */
export function duration() {
  return z
    .string()
    .regex(/^\d+(\.\d+)?(ms|s|m|h|d)$/, 'a duration is a number and ms, s, m, h or d, for example 30s')
    .transform((text) => {
      const unit = text.replace(/^[\d.]+/, '')
      return Number.parseFloat(text) * (UNITS[unit] as number)
    })
}

/** `127.0.0.1:5683` or `[::1]:5683`. */
export function address() {
  return z
    .string()
    .regex(/^(\[[0-9a-fA-F:.]+\]|[^:[\]\s]+):\d{1,5}$/, 'an address is host:port, for example 127.0.0.1:5683')
    .transform(parseAddress)
    .refine(({ port }) => port < 65536, 'a port is at most 65535')
}

function parseAddress(text: string): Address {
  const colon = text.lastIndexOf(':')
  return { host: text.slice(0, colon).replace(/^\[|\]$/g, ''), port: Number(text.slice(colon + 1)) }
}

export function isLoopback({ host }: Address): boolean {
  return host === 'localhost' || host === '::1' || /^127\.\d+\.\d+\.\d+$/.test(host)
}
