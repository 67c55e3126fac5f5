/** A real HTTP upstream that remembers every record, and can be told to be down, slow or forgetful. */
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'

interface SentBatch {
  readonly class: string
  readonly epoch: string
  readonly first: number
  readonly last: number
  readonly records: readonly ReceivedRecord[]
}

export interface ReceivedRecord {
  readonly seq: number
  readonly kind: string
  readonly first?: number
  readonly [key: string]: unknown
}

export type Mood =
  | 'up'
  /** Refuses with 503. */
  | 'down'
  /** Takes the batch and drops the connection before it answers. */
  | 'forgetful'
  /** Every second batch is lost on its way, every third one's answer on its way back. */
  | 'lossy'

export interface Receiver {
  readonly port: number
  mood: Mood
  /** Records by class and epoch, then by number. */
  readonly logs: Map<string, Map<number, ReceivedRecord>>
  /** Records that came again with other bytes: must stay empty. */
  readonly changed: string[]
  readonly repeats: { count: number }
  /** Resolves at the next batch. */
  next(): Promise<void>
  close(): Promise<void>
}

export async function startReceiver(): Promise<Receiver> {
  const logs = new Map<string, Map<number, ReceivedRecord>>()
  const texts = new Map<string, string>()
  const changed: string[] = []
  const repeats = { count: 0 }
  let waiting: (() => void)[] = []
  let batches = 0
  const server = createServer((request, response) => {
    void answer(request, response)
  })
  const keep = (batch: SentBatch) => {
    const name = `${batch.class} ${batch.epoch}`
    const log = logs.get(name) ?? new Map<number, ReceivedRecord>()
    logs.set(name, log)
    for (const record of batch.records) {
      const text = JSON.stringify(record)
      const key = `${name} ${record.seq}`
      const known = texts.get(key)
      if (known !== undefined) repeats.count++
      if (known !== undefined && known !== text) changed.push(`${key}: ${known} then ${text}`)
      texts.set(key, text)
      log.set(record.seq, record)
    }
  }
  const answer = async (request: IncomingMessage, response: ServerResponse) => {
    const chunks: Buffer[] = []
    for await (const chunk of request) chunks.push(chunk as Buffer)
    if (receiver.mood === 'down') {
      response.writeHead(503).end()
      return
    }
    const { mood } = receiver
    const turn = batches++
    if (mood === 'lossy' && turn % 2 === 0) {
      request.socket.destroy()
      return
    }
    keep(JSON.parse(Buffer.concat(chunks).toString()) as SentBatch)
    if (mood === 'forgetful' || (mood === 'lossy' && turn % 3 === 0)) request.socket.destroy()
    else response.writeHead(204).end()
    const callbacks = waiting
    waiting = []
    for (const callback of callbacks) callback()
  }
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const address = server.address()
  const receiver: Receiver = {
    port: address !== null && typeof address === 'object' ? address.port : 0,
    mood: 'up',
    logs,
    changed,
    repeats,
    next: () => new Promise((resolve) => waiting.push(resolve)),
    close: () =>
      new Promise((resolve) => {
        server.closeAllConnections()
        server.close(() => resolve())
      }),
  }
  return receiver
}

/** Numbers missing between 1 and the highest, that no gap record covers. */
export function holes(log: ReadonlyMap<number, ReceivedRecord>): number[] {
  const missing: number[] = []
  let expected = 1
  for (const seq of [...log.keys()].sort((a, b) => a - b)) {
    const from = log.get(seq)?.first ?? seq
    for (; expected < from; expected++) missing.push(expected)
    expected = seq + 1
  }
  return missing
}
