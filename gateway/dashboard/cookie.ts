/** The session cookie (RFC 6265). Cookies are not kept apart by port, so the port is part of the name. */
import type { IncomingHttpHeaders } from 'node:http'

export interface Visitor {
  readonly headers: Pick<IncomingHttpHeaders, 'cookie'>
  readonly socket: { readonly localPort?: number | undefined; readonly encrypted?: boolean }
}

export function sessionOf({ headers, socket }: Visitor): string | undefined {
  const name = nameFor(socket)
  for (const pair of (headers.cookie ?? '').split(';')) {
    const at = pair.indexOf('=')
    if (pair.slice(0, at).trim() === name) return pair.slice(at + 1).trim()
  }
  return undefined
}

/** @param seconds until it ends; 0 removes it */
export function sessionCookie(id: string, seconds: number, { socket }: Visitor): string {
  const secure = socket.encrypted ? '; Secure' : ''
  return `${nameFor(socket)}=${id}; Path=/; Max-Age=${seconds}; HttpOnly; SameSite=Strict${secure}`
}

function nameFor({ localPort }: Visitor['socket']): string {
  return `sluice-${localPort ?? 0}`
}
