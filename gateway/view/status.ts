import { diskRoom } from '../disk/room.ts'
import type { Status } from '../http/api.ts'

import { iso } from './iso.ts'
import type { ViewParts } from './parts.ts'

export function statusOf(parts: ViewParts): Omit<Status, 'stages' | 'started' | 'uptime'> {
  const { clock, upstreams, sources, outbox } = parts
  const memory = process.memoryUsage()
  const waiting = new Map(outbox.status().sinks.map((sink) => [sink.name, sink.backlog]))
  return {
    gateway: parts.gateway,
    version: parts.version,
    node: process.version,
    pid: process.pid,
    now: iso(clock.now()),
    config: parts.config ?? null,
    data: parts.data,
    ports: { ...parts.ports() },
    notices: [...parts.notices()],
    memory: { rss: memory.rss, heap: memory.heapUsed },
    storage: storageOf(parts),
    devices: parts.devices.size,
    sources: [
      { name: 'mqtt', plugin: 'mqtt', state: 'running' },
      { name: 'http', plugin: 'http', state: 'running' },
      ...sources.list().map(({ name, plugin, runner }) => {
        const state = runner?.status()
        const error = state?.state === 'waiting' ? state.lastError?.message : undefined
        return {
          name,
          plugin,
          state: state?.state ?? 'running',
          ...(error === undefined ? {} : { error }),
          ...(state ? { since: iso(state.since) } : {}),
        }
      }),
    ],
    upstreams: upstreams.list().map(({ name, config, runner }) => {
      const state = runner.status()
      const backlog = waiting.get(name) ?? []
      const error = state.state === 'connected' ? undefined : state.lastError?.message
      return {
        name,
        plugin: config.plugin,
        state: state.state,
        ...(error === undefined ? {} : { error }),
        since: iso(state.since),
        records: backlog.reduce((sum, one) => sum + one.records, 0),
        bytes: backlog.reduce((sum, one) => sum + one.bytes, 0),
      }
    }),
  }
}

function storageOf({ wear, data }: ViewParts): Status['storage'] {
  const disk = diskRoom(data)
  return { ...wear(), ...(disk ? { disk } : {}) }
}
