/** A gateway that only pretends, for tests of what stands in front of it. */
import type { Clock } from '../../gateway/clock.ts'
import type { Api, Change, CommandStatus } from '../../gateway/http/api.ts'
import { createLive, type Live } from '../../gateway/http/live.ts'
import type { StageNumbers } from '../../gateway/http/metrics.ts'
import type { LogLevel } from '../../gateway/logging.ts'

export const TIME = '2026-11-23T00:00:00.000Z'

export interface FakeApi extends Api {
  readonly live: Live
  stages: StageNumbers[]
  troubled: string | undefined
  readyNow: boolean
  /** What telemetry was taken, and what to answer. */
  readonly taken: { topic: string; body: Buffer; contentType: string | undefined }[]
  take: () => Promise<{ dead?: string }>
  readonly sent: Map<string, CommandStatus>
  readonly retried: string[]
  level: LogLevel
  readonly described: Map<string, unknown>
  readonly changed: Change[]
}

export function createFakeApi(clock: Clock): FakeApi {
  const live = createLive(clock)
  const api: FakeApi = {
    gateway: 'site-7',
    version: '0.1.0',
    live,
    stages: [
      { stage: 'ingest', instance: 'mqtt', in: 100, out: 98, bytes: 20_000, errors: { dropped: 2 }, queue: 0 },
      { stage: 'window', in: 98, out: 4, bytes: 0, errors: {}, queue: 3, lag: 1500, mustMove: true },
    ],
    troubled: undefined,
    readyNow: true,
    taken: [],
    take: async () => ({}),
    sent: new Map(),
    retried: [],
    numbers: () => ({
      stages: api.stages,
      families: [
        {
          name: 'late_readings_total',
          help: 'Late.',
          type: 'counter',
          values: [{ labels: { window: 'w' }, value: 3 }],
        },
      ],
    }),
    trouble: () => api.troubled,
    ready: () => (api.readyNow ? { ready: true } : { ready: false, reason: 'recovering the journal' }),
    status: () => ({
      gateway: 'site-7',
      version: '0.1.0',
      node: 'v20.11.0',
      pid: 42,
      started: TIME,
      uptime: 3723,
      now: TIME,
      config: null,
      data: '/var/lib/sluice',
      ports: { mqtt: 1883, http: 8080 },
      notices: ['a restart is needed: mqtt.listen changed'],
      memory: { rss: 80_000_000, heap: 30_000_000 },
      storage: { bytesWritten: 12_000_000, deviceBytesWritten: 30_000_000, lifeYears: 11.5 },
      devices: 2,
      sources: [{ name: 'mqtt', plugin: 'mqtt', state: 'running' }],
      upstreams: [
        {
          name: 'cloud',
          plugin: 'mqtt',
          state: 'waiting',
          error: 'connection refused',
          since: TIME,
          records: 12,
          bytes: 3400,
        },
      ],
    }),
    configFile: async () => ({ file: '/etc/sluice/sluice.yaml', yaml: 'log: {}\n', digest: 'd1' }),
    checkConfig: async (yaml) => ({ valid: yaml !== '', mistakes: [], failedTests: [], apply: [], restart: [] }),
    applyConfig: async () => ({ valid: true, mistakes: [], failedTests: [], apply: ['log'], restart: [] }),
    level: 'info',
    logLevel: () => api.level,
    setLogLevel(level) {
      api.level = level
    },
    config: () => ({ file: null, values: { gateway: { id: 'site-7' } }, origins: { 'gateway.id': 'default' } }),
    devices: ({ match, limit }) => {
      const all = ['dvc3001', 'dvc3002'].filter((id) => match === undefined || id === match).map(fakeDevice)
      return { total: all.length, devices: all.slice(0, limit) }
    },
    device: (id) => (id === 'dvc3001' ? fakeDevice(id) : undefined),
    described: new Map(),
    async describeDevice(id, description) {
      api.described.set(id, description)
      return fakeDevice(id)
    },
    forgetDescription: async (id) => api.described.delete(id),
    devicesYaml: () => 'devices: {}\n',
    changes: async (limit) => api.changed.slice(-limit).reverse(),
    changed: [],
    async recordChange(change) {
      api.changed.push({ time: TIME, ...change })
    },
    history: async ({ field }) => ({
      device: 'dvc3001',
      field,
      kind: 'number',
      from: TIME,
      to: TIME,
      resolution: '1m',
      stepMs: 60_000,
      times: [Date.parse(TIME)],
      count: [3],
      min: [1],
      max: [3],
      mean: [2],
    }),
    windows: () => ({
      definitions: [{ name: 'per-device', kind: 'tumbling 10s', by: ['device'], keys: 2, emitted: 4 }],
      results: [],
    }),
    commands: () => [...api.sent.values()],
    command: (id) => api.sent.get(id),
    async sendCommand(request, by) {
      const id = request.id ?? 'c1'
      const known = api.sent.get(id)
      if (known) return { repeated: true, command: known }
      const { device, command } = request
      const made: CommandStatus = {
        id,
        device,
        command,
        state: 'accepted',
        by,
        created: TIME,
        time: TIME,
        deadline: TIME,
      }
      api.sent.set(id, made)
      api.live.command({ kind: 'command', id, device, command, state: 'accepted', time: TIME, by })
      return { repeated: false, command: made }
    },
    alerts: () => [
      { id: '7', rule: 'hot', key: { device: 'dvc3001' }, severity: 'warning', raised: TIME, acknowledged: false },
    ],
    alertHistory: () => [
      {
        kind: 'alert',
        rule: 'hot',
        key: { device: 'dvc3001' },
        state: 'raised',
        severity: 'warning',
        time: TIME,
        id: '7',
      },
    ],
    acknowledgeAlert: async (id) => id === '7',
    cancelCommand: async (id) => {
      const known = api.sent.get(id)
      return known && { ...known, state: 'failed', reason: 'cancelled' }
    },
    outbox: () => ({
      bytes: 4096,
      maxBytes: 1_000_000_000,
      whenFull: { event: 'drop_oldest', result: 'drop_oldest', reading: 'drop_oldest' },
      classes: [{ class: 'result', epoch: 'e1', first: 1, next: 43, bytes: 4096 }],
      sinks: [fakeSink('cloud')],
    }),
    async retrySink(sink) {
      api.retried.push(sink)
      return sink === 'cloud' ? fakeSink(sink) : undefined
    },
    skipSink: async (sink, request) => (sink === 'cloud' ? (request.through ?? 12) : undefined),
    forgetSink: async (sink) => sink === 'old',
    exportSink: (sink, recordClass) => (sink === 'cloud' ? records(recordClass ?? 'all') : undefined),
    audit: async () => ({
      balanced: true,
      sources: [
        {
          source: 'mqtt',
          in: 100,
          decoded: 98,
          dead: { json: { count: 2, first: TIME, last: TIME } },
          dropped: {},
          balanced: true,
        },
      ],
      windows: [
        {
          source: 'mqtt',
          window: 'per-device',
          decoded: 98,
          windowed: 90,
          open: 8,
          late: 0,
          filtered: 0,
          balanced: true,
        },
      ],
      sinks: [{ sink: 'cloud', class: 'result', acknowledged: 30, waiting: 12 }],
    }),
    deadLetters: () => ({
      total: 2,
      reasons: { json: 2 },
      last: [
        {
          time: TIME,
          source: 'mqtt',
          topic: 'telemetry/x',
          reason: 'json',
          message: 'no JSON',
          size: 4,
          payload: '[[[[',
          encoding: 'utf8',
        },
      ],
    }),
    telemetry(topic, body, contentType) {
      api.taken.push({ topic, body, contentType })
      return api.take()
    },
    subscribe: live.subscribe,
  }
  return api
}

function fakeDevice(id: string) {
  return {
    id,
    source: 'mqtt',
    time: TIME,
    received: TIME,
    readings: 7,
    tags: { model: 'X1' },
    fields: { cpu: 51, state: 'NSW' },
  }
}

function fakeSink(name: string) {
  return {
    name,
    state: 'waiting',
    error: 'connection refused',
    sent: 30,
    backlog: [{ class: 'result' as const, records: 12, bytes: 3400, oldest: TIME }],
  }
}

async function* records(name: string): AsyncGenerator<Buffer> {
  for (let seq = 1; seq <= 3; seq++) yield Buffer.from(`{"seq":${seq},"of":"${name}"}`)
}
