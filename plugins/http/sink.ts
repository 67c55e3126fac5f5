/** Sends batches as HTTP requests, one after the other; a 2xx answer acknowledges. */
import type { Agent } from 'node:http'
import { promisify } from 'node:util'
import { gzip } from 'node:zlib'
import { NotConnectedError, PartialWriteError, SluiceError } from '../../gateway/errors.ts'
import type { Batch, PluginContext, Sink } from '../../gateway/plugin.ts'
import { readSecret, readTls } from '../options.ts'
import { failureOf, parseRetryAfter } from './answer.ts'
import type { HttpConfig } from './config.ts'
import { probe } from './probe.ts'
import { createAgent, send } from './request.ts'

const compress = promisify(gzip)
const NEWLINE = Buffer.from('\n')

interface Ready {
  readonly agent: Agent
  readonly headers: Readonly<Record<string, string>>
}

export function createSink(config: HttpConfig, context: PluginContext): Sink {
  const url = new URL(config.url)
  let ready: Ready | undefined

  /** Runs `action` with a signal that also aborts when the endpoint takes too long. */
  const inTime = async <T>(signal: AbortSignal, action: (signal: AbortSignal) => Promise<T>): Promise<T> => {
    signal.throwIfAborted()
    const own = new AbortController()
    const aborted = () => own.abort(signal.reason)
    signal.addEventListener('abort', aborted, { once: true })
    const timer = context.clock.after(config.timeout, () =>
      own.abort(new NotConnectedError('SLUICE_HTTP_TIMEOUT', `${url} did not answer in time`)),
    )
    try {
      return await action(own.signal)
    } finally {
      timer.cancel()
      signal.removeEventListener('abort', aborted)
    }
  }

  const post = async (to: Ready, key: string, plain: Buffer, signal: AbortSignal): Promise<void> => {
    const body = config.gzip ? await compress(plain) : plain
    const headers = { ...to.headers, 'idempotency-key': key }
    const answer = await inTime(signal, (own) =>
      send({ url, method: config.method, headers, body, agent: to.agent }, own),
    )
    const retryAfter = parseRetryAfter(answer.retryAfter, context.clock.now())
    const failure = failureOf(answer.status, String(url), retryAfter, answer.excerpt)
    if (failure) throw failure
  }

  const postRecords = async (to: Ready, batch: Batch, signal: AbortSignal): Promise<void> => {
    let first = batch.first
    for (const [i, record] of batch.records.entries()) {
      const last = numberOf(record)
      try {
        await post(to, keyOf(batch, first, last), record, signal)
      } catch (error) {
        if (i === 0 || !(error instanceof SluiceError)) throw error
        const text = `${url} took ${i} of ${batch.count} records: ${error.message}`
        throw new PartialWriteError('SLUICE_HTTP_PARTIAL', text, i, { cause: error })
      }
      first = last + 1
    }
  }

  return {
    async connect(signal) {
      const path = (relative: string) => context.path(relative)
      const token = await readSecret(config.token, config.tokenFile, path)
      const tls = await readTls(config.tls, path)
      await inTime(signal, (own) => probe(url, tls, own))
      ready?.agent.destroy()
      ready = { agent: createAgent(url, tls), headers: headersOf(config, token) }
    },

    async write(batch, signal) {
      if (!ready) throw new NotConnectedError('SLUICE_HTTP_CLOSED', `not connected to ${url}`)
      if (config.shape === 'record') return postRecords(ready, batch, signal)
      const body = config.shape === 'ndjson' ? lines(batch) : batch.body()
      return post(ready, keyOf(batch, batch.first, batch.last), body, signal)
    },

    async close() {
      ready?.agent.destroy()
      ready = undefined
    },
  }
}

function headersOf(config: HttpConfig, token: string | undefined): Record<string, string> {
  return {
    'user-agent': 'sluice',
    'content-type': config.shape === 'ndjson' ? 'application/x-ndjson' : 'application/json',
    ...(config.gzip ? { 'content-encoding': 'gzip' } : {}),
    ...(token === undefined ? {} : { authorization: `Bearer ${token}` }),
    ...Object.fromEntries(Object.entries(config.headers).map(([name, value]) => [name.toLowerCase(), value])),
  }
}

function keyOf(batch: Batch, first: number, last: number): string {
  // A header cannot hold every text that a gateway's name can.
  return `${encodeURI(batch.gateway)}/${batch.epoch}/${first}-${last}`
}

function lines(batch: Batch): Buffer {
  return Buffer.concat(batch.records.flatMap((record) => [record, NEWLINE]))
}

/** The number in front of a record's JSON text: `{"seq":1042,…`. */
function numberOf(record: Buffer): number {
  return Number.parseInt(record.toString('latin1', 7, 27), 10)
}
