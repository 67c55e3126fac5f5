/**
 * One request. On node:http rather than fetch: fetch cannot be given a CA, a client certificate or an agent without
 * the undici package, and costs more memory.
 */
import * as http from 'node:http'
import * as https from 'node:https'
import { NotConnectedError, reasonOf } from '../../gateway/errors.ts'
import type { TlsOptions } from '../options.ts'

export interface Answer {
  readonly status: number
  readonly retryAfter: string | undefined
  /** The beginning of the body. */
  readonly excerpt: string
}

export interface Outgoing {
  readonly url: URL
  readonly method: string
  readonly headers: Readonly<Record<string, string | number>>
  readonly body: Buffer
  readonly agent: http.Agent
}

/** Bytes of an answer that are shown to a person. */
const EXCERPT = 200

/** A few kept-alive connections; one is enough, for requests are sent one after the other. */
export function createAgent(url: URL, tls: TlsOptions): http.Agent {
  const options = { keepAlive: true, maxSockets: 2 }
  return url.protocol === 'https:' ? new https.Agent({ ...options, ...tls }) : new http.Agent(options)
}

/** @throws NotConnectedError no answer */
export function send(outgoing: Outgoing, signal: AbortSignal): Promise<Answer> {
  const { url, method, headers, body, agent } = outgoing
  return new Promise((resolve, reject) => {
    const failed = (cause: unknown) =>
      reject(
        signal.aborted
          ? signal.reason
          : new NotConnectedError('SLUICE_HTTP_UNREACHABLE', `no answer from ${url}: ${reasonOf(cause)}`, { cause }),
      )
    const { request } = url.protocol === 'https:' ? https : http
    const sent = request(url, { method, headers: { ...headers, 'content-length': body.length }, agent, signal })
    sent.on('error', failed)
    sent.on('response', (response) => {
      const start: Buffer[] = []
      let kept = 0
      response.on('data', (chunk: Buffer) => {
        if (kept >= EXCERPT) return
        start.push(chunk)
        kept += chunk.length
      })
      response.on('error', failed)
      response.on('end', () =>
        resolve({
          status: response.statusCode ?? 0,
          retryAfter: response.headers['retry-after'],
          excerpt: oneLine(Buffer.concat(start).toString('utf8')),
        }),
      )
    })
    sent.end(body)
  })
}

function oneLine(text: string): string {
  return text.replaceAll(/\s+/g, ' ').trim().slice(0, EXCERPT)
}
