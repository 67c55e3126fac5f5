/** What people and programs see of a running gateway: the `Api` that HTTP serves, made of plain look-ups. */
import type { Broker } from './broker/broker.ts'
import type { Clock } from './clock.ts'
import { commandStatus } from './commands/open.ts'
import type { CommandStage } from './commands/stage.ts'
import type { Config } from './config/schema.ts'
import type { DeadLetters } from './decode/dead-letters.ts'
import type { Devices } from './decode/devices.ts'
import { lastFields } from './devices.ts'
import { diskRoom } from './disk-room.ts'
import { BusyError } from './errors.ts'
import { ask } from './history/ask.ts'
import type { History } from './history/history.ts'
import type {
  Api,
  Audit,
  CommandStatus,
  DeviceStatus,
  OutboxSink,
  OutboxStatus,
  RunningConfig,
  Status,
} from './http/api.ts'
import type { Live } from './http/live.ts'
import { matcher } from './http/pattern.ts'
import type { Sources } from './ingest/sources.ts'
import type { Journal } from './journal/journal.ts'
import { imbalance, type Loss } from './journal/ledger.ts'
import { stageNumbers } from './numbers.ts'
import type { Outbox } from './outbox/outbox.ts'
import type { Pipeline } from './pipeline.ts'
import type { Commander, DeviceConnection, Emit } from './plugin.ts'
import type { PluginHost } from './plugin-host.ts'
import type { Device } from './reading.ts'
import { CLASSES } from './record.ts'
import type { RuleStage } from './rules/stage.ts'
import type { Upstreams } from './upstream/upstreams.ts'
import type { Wear } from './wear.ts'

export interface ViewParts {
  readonly gateway: string
  readonly version: string
  readonly config: string | undefined
  /** The config as it runs; asked each time, so that a reload shows. */
  readonly running: () => Omit<RunningConfig, 'file'>
  readonly data: string
  readonly clock: Clock
  readonly pipeline: Pipeline
  readonly journal: Journal
  readonly outbox: Outbox
  readonly history: History | undefined
  readonly upstreams: Upstreams
  readonly sources: Sources
  readonly host: PluginHost
  readonly devices: Devices
  readonly deadLetters: DeadLetters
  readonly live: Live
  readonly commands: CommandStage
  readonly rules: RuleStage
  /** What the config says of devices. */
  readonly described: () => Config['devices']
  readonly acknowledge: Api['acknowledgeAlert']
  readonly broker: () => Broker | undefined
  readonly ports: () => Readonly<Record<string, number>>
  readonly notices: () => readonly string[]
  readonly ready: () => { ready: boolean; reason?: string }
  readonly trouble: () => string | undefined
  readonly wear: () => Wear
  /** Takes a message of the source `http`; resolves with why it is a dead letter. */
  readonly telemetry: Api['telemetry']
}

export function createView(parts: ViewParts): Api {
  const { clock, pipeline, outbox, upstreams, devices, deadLetters, live, commands, rules } = parts
  const started = clock.now()
  const startedAt = clock.monotonic()
  const deviceOf = (id: string): DeviceStatus | undefined => {
    const found = deviceStatus(id, devices.find(id), parts.described()[id], started)
    if (found === undefined) return undefined
    const connection = connectionOf(id, parts.sources)
    return connection === undefined ? found : { ...found, connection }
  }
  return {
    gateway: parts.gateway,
    version: parts.version,
    numbers: () => stageNumbers(parts),
    trouble: parts.trouble,
    ready: parts.ready,
    status: () => ({ ...status(parts), started: iso(started), uptime: (clock.monotonic() - startedAt) / 1000 }),
    config: () => ({ file: parts.config ?? null, ...parts.running() }),
    devices({ match, after, limit }) {
      const matches = match === undefined ? undefined : matcher(match)
      const heard = [...devices.all()].filter((d) => d.last !== undefined).map(({ id }) => id)
      const all = [...new Set([...heard, ...Object.keys(parts.described())])]
        .filter((id) => !matches || matches(id, undefined))
        .sort()
      const from = after === undefined ? 0 : all.findIndex((id) => id > after)
      const page = from < 0 ? [] : all.slice(from, from + limit)
      const more = from >= 0 && from + limit < all.length
      const next = more ? page.at(-1) : undefined
      return {
        total: all.length,
        devices: page.flatMap((id) => deviceOf(id) ?? []),
        ...(next === undefined ? {} : { next }),
      }
    },
    device: deviceOf,
    history: (query) =>
      ask(
        {
          history: parts.history,
          windows: pipeline.windows.definitions,
          unit: (id, field) => parts.described()[id]?.units[field],
          now: clock.now(),
        },
        query,
      ),
    windows: ({ window, device, limit }) => windowPage(pipeline, window, device, limit),
    commands: ({ device, state, limit }) => {
      const found: CommandStatus[] = []
      for (const one of commands.ledger.newest()) {
        if (found.length >= limit) break
        if (device !== undefined && one.device !== device) continue
        if (state === undefined || one.state === state) found.push(commandStatus(one))
      }
      return found
    },
    command(id) {
      const found = commands.ledger.find(id)
      return found && commandStatus(found)
    },
    async sendCommand(request, by) {
      const { repeated, command } = await commands.submit(request, by)
      return { repeated, command: commandStatus(command) }
    },
    alerts: () =>
      rules.alerts().map(({ raised, key, ...alert }) => ({ ...alert, key: { ...key }, raised: iso(raised) })),
    alertHistory: () => rules.history().map((record) => ({ ...record, key: { ...record.key } })),
    acknowledgeAlert: parts.acknowledge,
    async cancelCommand(id, by) {
      const found = await commands.cancel(id, by)
      return found && commandStatus(found)
    },
    outbox: () => outboxStatus(outbox, upstreams),
    async retrySink(name) {
      upstreams
        .list()
        .find((upstream) => upstream.name === name)
        ?.runner.retry()
      return outboxStatus(outbox, upstreams).sinks.find((sink) => sink.name === name)
    },
    async skipSink(name, request) {
      let skipped: number | undefined
      for (const one of CLASSES) {
        if (request.class !== undefined && request.class !== one) continue
        const count = await outbox.skip(name, one, request.through)
        if (count !== undefined) skipped = (skipped ?? 0) + count
      }
      return skipped
    },
    forgetSink: (name) => outbox.forget(name),
    exportSink: (name, recordClass) => outbox.export(name, recordClass),
    audit: () => Promise.resolve(liveAudit(pipeline, outbox)),
    deadLetters(limit) {
      const { total, reasons, last } = deadLetters.report()
      return { total, reasons: { ...reasons }, last: last.slice(0, limit).map((letter) => ({ ...letter })) }
    },
    telemetry: parts.telemetry,
    subscribe: (interest, listener) => live.subscribe(interest, listener),
  }
}

/** `POST /api/telemetry` tells the sender why a message is a dead letter, though it is durable all the same. */
export function telemetryOf(pipeline: Pipeline, emit: Emit): Api['telemetry'] {
  return (topic, body, contentType) =>
    new Promise((resolve, reject) => {
      let dead: string | undefined
      const message = { topic, payload: body, ...(contentType === undefined ? {} : { contentType }) }
      const taken = emit.offer(message, (error) => {
        if (error) reject(error)
        else resolve(dead === undefined ? {} : { dead })
      })
      // Offers are processed at once, so what the pipeline refused last is this message.
      dead = taken ? pipeline.refusal?.message : undefined
      if (!taken) reject(new BusyError('SLUICE_BUSY', 'no room in the journal now'))
    })
}

function iso(time: number): string {
  return new Date(time).toISOString()
}

function status(parts: ViewParts): Omit<Status, 'stages' | 'started' | 'uptime'> {
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

/** Undefined for a device that has sent nothing and of which nobody said anything. */
function deviceStatus(
  id: string,
  device: Device | undefined,
  described: Config['devices'][string] | undefined,
  started: number,
): DeviceStatus | undefined {
  const last = device?.last
  if (last === undefined && described === undefined) return undefined
  const { webhook: _, ...said } = described ?? {}
  // Answers are plain copies; what the config holds is not to be written to.
  const copy = structuredClone(said) as Pick<DeviceStatus, 'name' | 'room' | 'kind' | 'units' | 'commands'>
  if (last === undefined)
    return {
      id,
      source: 'config',
      time: iso(started),
      received: iso(started),
      readings: 0,
      tags: {},
      fields: {},
      ...copy,
    }
  return {
    id,
    source: last.source,
    ...(last.stream === undefined ? {} : { stream: last.stream }),
    time: iso(last.time),
    received: iso(last.received),
    readings: last.count,
    tags: { ...last.tags },
    fields: lastFields(last),
    ...copy,
  }
}

/** As the first commander sees it that knows the device. */
function connectionOf(device: string, sources: Sources): DeviceStatus['connection'] {
  for (const { name, commander } of sources.list()) {
    const known = describedBy(commander, device)
    if (known) return { source: name, ...known, ...(known.details ? { details: { ...known.details } } : {}) }
  }
  return undefined
}

/** A plugin that throws harms no listing. */
function describedBy(commander: Commander | undefined, device: string): DeviceConnection | undefined {
  try {
    return commander?.describe?.(device)
  } catch {
    return undefined
  }
}

function windowPage(pipeline: Pipeline, window: string | undefined, device: string | undefined, limit: number) {
  const { windows } = pipeline
  const ledger = windows.ledger()
  const definitions = windows.stats().map(({ window: name, keys, evictedKeys }) => {
    const definition = windows.definitions.find((candidate) => candidate.name === name)
    const kind = Object.keys(definition?.kind ?? {})[0] ?? ''
    const rows = ledger.filter((row) => row.window === name)
    const sum = (pick: (row: (typeof rows)[number]) => number) => rows.reduce((total, row) => total + pick(row), 0)
    return {
      name,
      kind,
      by: [...(definition?.by ?? [])],
      keys,
      emitted: pipeline.resultsOf(name),
      corrections: sum((row) => row.corrected),
      late: sum((row) => row.late),
      evicted: evictedKeys,
    }
  })
  const results = definitions
    .filter(({ name }) => window === undefined || name === window)
    .flatMap(({ name }) => windows.latest(name))
    .filter((record) => device === undefined || record.key.device === device)
    .sort((a, b) => (a.end < b.end ? 1 : -1))
    .slice(0, limit)
  return {
    definitions,
    results: results.map((record) => ({ ...record, key: { ...record.key }, fields: fieldsOf(record.fields) })),
  }
}

function fieldsOf(fields: object): Record<string, Record<string, unknown>> {
  return Object.fromEntries(Object.entries(fields).map(([name, statistics]) => [name, { ...statistics }]))
}

function outboxStatus(outbox: Outbox, upstreams: Upstreams): OutboxStatus {
  const { bytes, maxBytes, whenFull, classes, sinks } = outbox.status()
  return {
    bytes,
    maxBytes,
    whenFull: { ...whenFull },
    classes: classes.map(({ class: name, epoch, first, next, bytes: own, lost, full }) => ({
      class: name,
      epoch,
      first,
      next,
      bytes: own,
      lost: { ...lost },
      full,
    })),
    sinks: sinks.map((sink): OutboxSink => {
      const runner = upstreams
        .list()
        .find((upstream) => upstream.name === sink.name)
        ?.runner.status()
      return {
        name: sink.name,
        state: runner?.state ?? 'removed',
        ...(runner?.lastError && runner.state !== 'connected' ? { error: runner.lastError.message } : {}),
        ...(runner?.retryAt === undefined ? {} : { retryAt: iso(runner.retryAt) }),
        ...(runner ? { sent: runner.sent, acked: runner.acked, refused: runner.refused } : {}),
        backlog: sink.backlog.map(({ oldest, ...rest }) => ({
          ...rest,
          ...(oldest === undefined ? {} : { oldest: iso(oldest) }),
        })),
      }
    }),
  }
}

/** The ledger as it stands in memory; `sluice audit` works it out again from the disk. */
export function liveAudit(pipeline: Pipeline, outbox: Outbox | undefined): Audit {
  const sources = pipeline.ledgers().map((ledger) => ({
    source: ledger.name,
    in: ledger.in,
    decoded: ledger.decoded,
    dead: lossesOf(ledger.dead),
    dropped: lossesOf(ledger.dropped),
    balanced: imbalance(ledger) === 0,
  }))
  const windows = pipeline.windowLedger().map((row) => {
    const { source, window, decoded, windowed, open, late, filtered } = row
    return {
      source,
      window,
      decoded,
      windowed,
      open,
      late,
      filtered,
      balanced: decoded === windowed + open + late + filtered,
    }
  })
  const sinks = (outbox?.status().sinks ?? []).flatMap(({ name, backlog }) =>
    backlog.map((one) => ({ sink: name, class: one.class, acknowledged: one.acked, waiting: one.records })),
  )
  return { balanced: [...sources, ...windows].every((row) => row.balanced), sources, windows, sinks }
}

function lossesOf(losses: Readonly<Record<string, Loss>>) {
  return Object.fromEntries(
    Object.entries(losses).map(([reason, { count, first, last }]) => [
      reason,
      { count, first: iso(first), last: iso(last) },
    ]),
  )
}
