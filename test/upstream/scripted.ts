/** A sink whose peer does what a test tells it, and an outbox in front of it. */

import { openMemoryOutbox } from '../../gateway/outbox/memory.ts'
import type { OutboxOptions } from '../../gateway/outbox/outbox.ts'
import type { Batch, PluginLog, Sink } from '../../gateway/plugin.ts'
import { createUpstream, type UpstreamOptions, type UpstreamState } from '../../gateway/upstream/runner.ts'
import { options as outboxOptions } from '../outbox/contract.ts'
import { FakeClock } from '../support/clock.ts'

export interface Scripted extends Sink {
  readonly taken: Batch[]
  readonly offered: Batch[]
  connects: number
  closes: number
  onConnect: (signal: AbortSignal) => Promise<void>
  onWrite: (batch: Batch, signal: AbortSignal) => Promise<void>
  lose(reason: Error): void
}

export function scriptedSink(): Scripted {
  const listeners = new Set<(reason: Error) => void>()
  const sink: Scripted = {
    taken: [],
    offered: [],
    connects: 0,
    closes: 0,
    onConnect: async () => {},
    onWrite: async () => {},
    connect(signal) {
      sink.connects++
      return sink.onConnect(signal)
    },
    async write(batch, signal) {
      sink.offered.push(batch)
      await sink.onWrite(batch, signal)
      sink.taken.push(batch)
    },
    async close() {
      sink.closes++
    },
    onLost(listener) {
      listeners.add(listener)
      return () => listeners.delete(listener)
    },
    lose(reason) {
      for (const listener of listeners) listener(reason)
    },
  }
  return sink
}

export function recordingLog(): PluginLog & { readonly lines: string[] } {
  const lines: string[] = []
  const at = (level: string) => (_: object, text: string) => void lines.push(`${level} ${text}`)
  return { lines, debug: () => {}, info: at('info'), warn: at('warn'), error: at('error') }
}

export async function setUp(more: Partial<UpstreamOptions> = {}, outboxMore: Partial<OutboxOptions> = {}) {
  const clock = new FakeClock()
  const outbox = await openMemoryOutbox(outboxOptions(outboxMore), clock)
  const cursor = outbox.sink('cloud', ['event', 'result', 'reading'])
  const sink = scriptedSink()
  const log = recordingLog()
  const states: UpstreamState[] = []
  const upstream = createUpstream(
    { name: 'cloud', batch: { count: 10, bytes: 1_000_000, age: 1000 }, ...more },
    { sink, cursor, clock, log, random: () => 0.5, onState: ({ state }) => states.push(state) },
  )
  return { clock, outbox, cursor, sink, log, upstream, states }
}
