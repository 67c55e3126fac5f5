/** Asks a running gateway over its HTTP API, found through its data directory. */
import { type ClientRequest, request as httpRequest, type IncomingMessage } from 'node:http'
import { connect as connectTls, type TLSSocket } from 'node:tls'
import { RequestError, reasonOf, SluiceError } from '../errors.ts'
import { NOT_RUNNING } from './exit-codes.ts'
import { type Runtime, readRuntime } from './runtime.ts'

export interface Client {
  /** The parsed answer. @throws RequestError what the gateway refused, SluiceError it does not run */
  get<T>(path: string): Promise<T>
  post<T>(path: string, body?: unknown): Promise<{ readonly status: number; readonly body: T }>
  /** The status and the parsed answer, whatever the status is. */
  ask(method: string, path: string, body?: unknown): Promise<{ readonly status: number; readonly body: unknown }>
  /** The answer as it arrives. */
  open(path: string): Promise<IncomingMessage>
}

/** How long the gateway may be silent, ms; it answers telemetry within ten seconds. */
const PATIENCE = 15_000
const MAX_ANSWER = 256 * 1024 * 1024

export async function connectClient(data: string): Promise<Client> {
  const { http } = await readRuntime(data)
  if (!http) throw new SluiceError(NOT_RUNNING, `the gateway on ${data} runs without its HTTP API`)
  return createClient(http, data)
}

export function createClient(http: NonNullable<Runtime['http']>, data: string): Client {
  const open = (method: string, path: string, body: unknown) =>
    new Promise<IncomingMessage>((resolve, reject) => {
      const text = body === undefined ? undefined : JSON.stringify(body)
      const sending = start(http, method, path, text)
      sending.setTimeout(PATIENCE, () => sending.destroy(new Error(`no answer for ${PATIENCE / 1000} s`)))
      sending.on('response', resolve)
      sending.on('error', (error) => reject(unreachable(data, error)))
      sending.end(text)
    })
  const ask: Client['ask'] = async (method, path, body) => {
    const response = await open(method, path, body)
    return { status: response.statusCode ?? 0, body: parse(await textOf(response)) }
  }
  const expect = async (method: string, path: string, body?: unknown) => {
    const answer = await ask(method, path, body)
    if (answer.status >= 400) throw refusal(answer.status, answer.body)
    return answer
  }
  return {
    ask,
    get: async <T>(path: string) => (await expect('GET', path)).body as T,
    async post<T>(path: string, body?: unknown) {
      const answer = await expect('POST', path, body)
      return { status: answer.status, body: answer.body as T }
    },
    async open(path) {
      const response = await open('GET', path, undefined)
      const status = response.statusCode ?? 0
      if (status >= 400) throw refusal(status, parse(await textOf(response)))
      return response
    },
  }
}

function start(
  http: NonNullable<Runtime['http']>,
  method: string,
  path: string,
  text: string | undefined,
): ClientRequest {
  const host = reachable(http.address)
  const headers: Record<string, string> = { authorization: `Bearer ${http.secret}` }
  if (text !== undefined) {
    headers['content-type'] = 'application/json'
    headers['content-length'] = String(Buffer.byteLength(text))
  }
  const { fingerprint } = http
  if (fingerprint === undefined) return httpRequest({ host, port: http.port, method, path, headers, agent: false })
  const createConnection = (_options: object, done: (error: Error | null, socket: TLSSocket) => void) => {
    pinned(host, http.port, fingerprint, done)
    return undefined
  }
  return httpRequest({ host, port: http.port, method, path, headers, createConnection })
}

/** The secret is only said to the very certificate that the gateway wrote down, whoever signed it. */
function pinned(
  host: string,
  port: number,
  fingerprint: string,
  done: (error: Error | null, socket: TLSSocket) => void,
) {
  const socket = connectTls({ host, port, rejectUnauthorized: false })
  socket.once('error', (error) => done(error, socket))
  socket.once('secureConnect', () => {
    const shown = socket.getPeerCertificate().fingerprint256?.replaceAll(':', '').toLowerCase()
    if (shown === fingerprint) done(null, socket)
    else socket.destroy(new Error('another certificate than the gateway wrote down'))
  })
}

/** Where a browser on this machine finds the gateway. */
export function urlOf({ address, port, fingerprint }: NonNullable<Runtime['http']>): string {
  const host = reachable(address)
  return `http${fingerprint === undefined ? '' : 's'}://${host.includes(':') ? `[${host}]` : host}:${port}/`
}

/** Where a gateway that listens everywhere can be reached. */
function reachable(address: string): string {
  if (address === '0.0.0.0' || address === '') return '127.0.0.1'
  return address === '::' ? '::1' : address
}

function unreachable(data: string, error: NodeJS.ErrnoException): SluiceError {
  if (error.code === 'ECONNREFUSED')
    return new SluiceError(NOT_RUNNING, `no gateway runs on ${data}: it did not stop cleanly`, { cause: error })
  return new SluiceError('SLUICE_NO_ANSWER', `the gateway did not answer: ${reasonOf(error)}`, { cause: error })
}

function refusal(status: number, body: unknown): RequestError {
  const { code, message } = (body ?? {}) as { code?: unknown; message?: unknown }
  return new RequestError(
    status,
    String(code ?? 'SLUICE_BAD_ANSWER'),
    String(message ?? `the gateway answered ${status}`),
  )
}

async function textOf(response: IncomingMessage): Promise<string> {
  const pieces: Buffer[] = []
  let size = 0
  for await (const piece of response as AsyncIterable<Buffer>) {
    size += piece.length
    if (size > MAX_ANSWER) throw new SluiceError('SLUICE_BAD_ANSWER', 'the answer is too large: ask for less')
    pieces.push(piece)
  }
  return Buffer.concat(pieces).toString()
}

function parse(text: string): unknown {
  if (text === '') return undefined
  try {
    return JSON.parse(text)
  } catch (error) {
    throw new SluiceError('SLUICE_BAD_ANSWER', 'the answer is no JSON: is this another program?', { cause: error })
  }
}
