/** Reads server-sent events (WHATWG HTML, section 9.2.6): as much of the format as the gateway writes. */
import type { Client } from './client.ts'

export interface StreamEvent {
  readonly type: string
  readonly data: Record<string, unknown>
}

export interface EventStream {
  /** Ends when the gateway closes the stream. */
  readonly events: AsyncGenerator<StreamEvent>
  /** Hangs up; without it the process would wait for what comes next. */
  close(): void
}

/** @param query e.g. `types=window&match=dvc30*` */
export async function openEvents(client: Client, query: URLSearchParams): Promise<EventStream> {
  const response = await client.open(`/api/events?${query}`)
  // The stream's heartbeats are further apart than an answer's patience.
  response.socket.setTimeout(0)
  response.setEncoding('utf8')
  return { events: parseEvents(response), close: () => response.destroy() }
}

export async function* parseEvents(pieces: AsyncIterable<string>): AsyncGenerator<StreamEvent> {
  let rest = ''
  for await (const piece of pieces) {
    const blocks = (rest + piece).split('\n\n')
    rest = blocks.pop() ?? ''
    for (const block of blocks) {
      const event = parseBlock(block)
      if (event) yield event
    }
  }
}

function parseBlock(block: string): StreamEvent | undefined {
  let type = 'message'
  let data = ''
  for (const line of block.split('\n')) {
    if (line.startsWith('event: ')) type = line.slice(7)
    else if (line.startsWith('data: ')) data += line.slice(6)
  }
  return data === '' ? undefined : { type, data: JSON.parse(data) as Record<string, unknown> }
}
