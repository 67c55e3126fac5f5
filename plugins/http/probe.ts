/** Whether the endpoint can be reached at all, its certificate included, so that the state shown is true. */
import * as net from 'node:net'
import * as tls from 'node:tls'
import { NotConnectedError, reasonOf } from '../../gateway/errors.ts'
import type { TlsOptions } from '../options.ts'

/** @throws NotConnectedError */
export function probe(url: URL, options: TlsOptions, signal: AbortSignal): Promise<void> {
  const host = url.hostname.replace(/^\[|\]$/g, '')
  const secure = url.protocol === 'https:'
  const port = Number(url.port) || (secure ? 443 : 80)
  return new Promise((resolve, reject) => {
    const servername = options.servername ?? (net.isIP(host) === 0 ? host : '')
    const socket = secure ? tls.connect({ host, port, ...options, servername }) : net.connect({ host, port })
    const finish = (end: () => void) => {
      signal.removeEventListener('abort', aborted)
      socket.destroy()
      end()
    }
    const aborted = () => finish(() => reject(signal.reason))
    signal.addEventListener('abort', aborted, { once: true })
    socket.once(secure ? 'secureConnect' : 'connect', () => finish(resolve))
    socket.once('error', (cause) =>
      finish(() =>
        reject(
          new NotConnectedError('SLUICE_HTTP_UNREACHABLE', `cannot connect to ${url.origin}: ${reasonOf(cause)}`, {
            cause,
          }),
        ),
      ),
    )
  })
}
