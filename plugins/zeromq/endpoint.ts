/** Where sockets listen or connect to: `tcp://host:port`, `tcp://*:port`, `ipc:///path`. */
import type { ListenOptions, NetConnectOpts } from 'node:net'
import { z } from 'zod'

export interface Endpoint {
  /** As written. */
  readonly url: string
  readonly host: string
  /** 0 picks a free one. */
  readonly port: number
  /** Instead of host and port. */
  readonly path: string | undefined
}

const TCP = /^tcp:\/\/(\*|\[[0-9a-fA-F:.]+\]|[^:[\]\s/]+):(\d{1,5}|\*)$/
const IPC = /^ipc:\/\/([^\s@].*)$/

export function endpoint() {
  return z
    .string()
    .refine((text) => parse(text) !== undefined, {
      message: 'an endpoint is tcp://host:port, for example tcp://127.0.0.1:5557, or ipc:///path/of/a/socket',
      abort: true,
    })
    .transform((text) => parse(text) as Endpoint)
}

function parse(url: string): Endpoint | undefined {
  const path = IPC.exec(url)?.[1]
  if (path !== undefined) return { url, host: '', port: 0, path }
  const [, host = '', port = ''] = TCP.exec(url) ?? []
  if (host === '' || Number(port) > 65_535) return undefined
  return {
    url,
    host: host === '*' ? '0.0.0.0' : host.replace(/^\[|\]$/g, ''),
    port: port === '*' ? 0 : Number(port),
    path: undefined,
  }
}

/** Whether only this machine can reach it. */
export function isLocal({ host, path }: Endpoint): boolean {
  return path !== undefined || host === 'localhost' || host === '::1' || /^127\.\d+\.\d+\.\d+$/.test(host)
}

/** @param resolve makes the path of a socket absolute */
export function addressOf(
  { host, port, path }: Endpoint,
  resolve: (path: string) => string,
): ListenOptions & NetConnectOpts {
  return path === undefined ? { host, port } : { path: resolve(path) }
}
