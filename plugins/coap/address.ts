/** How addresses stand in the config of this plugin. */
import { z } from 'zod'
import type { Address } from './udp.ts'

/** `127.0.0.1:5683`, `[::1]:5683`, or `:5683` for every interface. */
export function address() {
  return z
    .string()
    .refine((text) => FORM.test(text) && parseAddress(text).port < 65536, {
      message: 'an address is host:port, for example 127.0.0.1:5683',
      abort: true,
    })
    .transform(parseAddress)
}

const FORM = /^(\[[0-9a-fA-F:.]+\]|[^:[\]\s/]*):\d{1,5}$/

function parseAddress(text: string): Address {
  const colon = text.lastIndexOf(':')
  const host = text.slice(0, colon).replace(/^\[|\]$/g, '')
  return { host: host || '0.0.0.0', port: Number(text.slice(colon + 1)) }
}

export function isLoopback({ host }: Address): boolean {
  return host === 'localhost' || host === '::1' || /^127\.\d+\.\d+\.\d+$/.test(host)
}
