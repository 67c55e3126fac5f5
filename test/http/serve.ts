/** A real HTTP server in front of a fake gateway, and a client that sends exactly the headers it is told to. */
import { type IncomingHttpHeaders, request } from 'node:http'
import type { Clock } from '../../gateway/clock.ts'
import type { Credential } from '../../gateway/http/access.ts'
import { type HttpOptions, type HttpServer, startHttp } from '../../gateway/http/server.ts'
import { FakeClock } from '../support/clock.ts'
import { createFakeApi, type FakeApi } from './fake-api.ts'

export const SECRET = 'local-secret'

export interface Logged {
  readonly fields: object
  readonly text: string
}

export interface Served {
  readonly api: FakeApi
  readonly server: HttpServer
  readonly clock: FakeClock
  readonly port: number
  readonly errors: Logged[]
  ask(method: string, path: string, options?: Ask): Promise<Answer>
}

export interface Ask {
  readonly headers?: Record<string, string>
  readonly body?: string | Buffer
}

export interface Answer {
  readonly status: number
  readonly headers: IncomingHttpHeaders
  readonly text: string
  /** The parsed body. */
  readonly json: Record<string, unknown>
}

export interface ServeOptions extends Partial<HttpOptions> {
  /** The operator's. */
  readonly token?: () => string | undefined
}

export async function serve({ token, ...options }: ServeOptions = {}, clock: Clock = new FakeClock()): Promise<Served> {
  const api = createFakeApi(clock)
  const errors: Logged[] = []
  const quiet = () => undefined
  const log = {
    debug: quiet,
    info: quiet,
    warn: quiet,
    error: (fields: object, text: string) => void errors.push({ fields, text }),
  }
  const listen = [{ host: '127.0.0.1', port: 0 }]
  const server = await startHttp({
    options: { listen, credentials: () => operatorWith(token?.()), secret: SECRET, ...options },
    api,
    clock,
    log,
  })
  const port = server.addresses[0]?.port ?? 0
  return {
    api,
    server,
    clock: clock as FakeClock,
    port,
    errors,
    ask: (method, path, what) => ask(port, method, path, what),
  }
}

export function operatorWith(token: string | undefined): Credential[] {
  return token === undefined ? [] : [{ name: 'operator', role: 'operator', token }]
}

export function ask(port: number, method: string, path: string, { headers, body }: Ask = {}): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const sending = request(
      {
        host: '127.0.0.1',
        port,
        method,
        path,
        headers: headers?.['transfer-encoding'] ? headers : { ...length(body), ...headers },
        agent: false,
      },
      (response) => {
        const pieces: Buffer[] = []
        response.on('data', (piece: Buffer) => pieces.push(piece))
        response.on('end', () => {
          const text = Buffer.concat(pieces).toString()
          const json =
            /json/.test(response.headers['content-type'] ?? '') &&
            !/ndjson/.test(response.headers['content-type'] ?? '')
          resolve({
            status: response.statusCode ?? 0,
            headers: response.headers,
            text,
            json: json && text ? JSON.parse(text) : {},
          })
        })
      },
    )
    sending.on('error', reject)
    sending.end(body)
  })
}

function length(body: string | Buffer | undefined): Record<string, string> {
  return body === undefined ? {} : { 'content-length': String(Buffer.byteLength(body)) }
}
