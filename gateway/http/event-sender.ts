/**
 * Writes server-sent events to one reader.
 *
 * A write costs as much as many events: readings and results wait for each other up to `TOGETHER`, what a person waits
 * for goes out at once. A reader slower than what happens loses events, never the gateway its memory: beyond `BUFFER`
 * bytes waiting in its connection events are counted instead of queued, and when it has caught up an event `dropped`
 * says how many.
 */
import type { ServerResponse } from 'node:http'
import type { Clock, Timer } from '../clock.ts'

const BUFFER = 256 * 1024
/** ms */
const TOGETHER = 100
const PATIENT = new Set(['reading', 'window'])

export interface EventSender {
  send(type: string, data: object): void
  /** Keeps the connection warm; not while the reader is behind. */
  comment(text: string): void
  stop(): void
}

export function createSender(response: ServerResponse, clock: Clock): EventSender {
  let dropped = 0
  let waiting = ''
  let timer: Timer | undefined
  const flush = () => {
    timer?.cancel()
    timer = undefined
    if (waiting !== '') response.write(waiting)
    waiting = ''
  }
  const queue = (type: string, data: object) => {
    waiting += `event: ${type}\ndata: ${JSON.stringify(data)}\n\n`
    if (!PATIENT.has(type)) flush()
    else timer ??= clock.after(TOGETHER, flush)
  }
  const confess = () => {
    if (dropped === 0 || response.writableLength > BUFFER / 2) return
    const count = dropped
    dropped = 0
    queue('dropped', { count })
  }
  response.on('drain', confess)
  return {
    send(type, data) {
      confess()
      if (dropped > 0 || response.writableLength + waiting.length > BUFFER) dropped++
      else queue(type, data)
    },
    comment(text) {
      if (!response.writableNeedDrain) response.write(`: ${text}\n\n`)
    },
    stop() {
      timer?.cancel()
      response.off('drain', confess)
    },
  }
}
