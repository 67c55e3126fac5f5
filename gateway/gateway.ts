/**
 * The table of contents: builds the stages in the order of the flow, and stops them in reverse.
 *
 *   storage ─▶ upstreams' cursors ─▶ recovery ─▶ intake ─▶ sources, broker, HTTP ─▶ upstreams
 */
import { resolve } from 'node:path'
import { type Broker, createBroker } from './broker/broker.ts'
import { createSecret, removeRuntime, writeRuntime } from './cli/runtime.ts'
import type { Clock } from './clock.ts'
import { openCommands } from './commands/open.ts'
import { STAGE as COMMANDS } from './commands/stage.ts'
import { createComplaint } from './complaint.ts'
import type { Loaded } from './config/load.ts'
import { planReload } from './config/reload.ts'
import { createDashboard } from './dashboard/dashboard.ts'
import { createDeadLetters } from './decode/dead-letters.ts'
import { createDevices } from './decode/devices.ts'
import { closeLookups, exchangeLookups, openLookups } from './decode/lookups.ts'
import { BusyError, reasonOf } from './errors.ts'
import { flowOf, sameFlow } from './flow.ts'
import { brokerOptions, httpOptions, httpToken, laneOf, runtimeOf } from './front.ts'
import type { Api } from './http/api.ts'
import { createLive } from './http/live.ts'
import { startHttp } from './http/server.ts'
import { createEmit, Settler } from './ingest/emit.ts'
import { Intake, type SourceState } from './ingest/intake.ts'
import { createSources, portsKnown } from './ingest/sources.ts'
import { createCheckpointing } from './journal/checkpointing.ts'
import type { Durability } from './journal/journal.ts'
import { recover } from './journal/recovery.ts'
import { codeOf } from './log/files.ts'
import type { Log } from './logging.ts'
import { createOnlooker } from './onlooker.ts'
import type { RecordOutput } from './pipeline.ts'
import { createPluginHost } from './plugin-host.ts'
import { createShapes } from './reading.ts'
import { definitionsOf } from './rules/definition.ts'
import { STAGE as RULES, type RuleFact, RuleStage } from './rules/stage.ts'
import { openStorage, type Storage } from './storage.ts'
import { clockIsRight, createTimeSync } from './time-sync.ts'
import { createUpstreams } from './upstream/upstreams.ts'
import { createView, telemetryOf } from './view.ts'
import { within } from './within.ts'

export interface GatewayParts {
  readonly loaded: Loaded
  readonly clock: Clock
  readonly log: Log
  readonly version: string
}

export interface Gateway {
  readonly ports: Readonly<Record<string, number>>
  readonly api: Api
  /** Changes what can be changed live and says what cannot. */
  reload(loaded: Loaded): Promise<void>
  /** Closes no window early; flushes. */
  stop(): Promise<void>
}

/** Results wait for each other this long before they ask the journal for a commit, ms. */
const RESULT_PATIENCE = 50
/** How often the clock may close windows, and drops are recorded, ms. */
const TICK = 100
/** How long the start waits for its checkpoint: not for ever on a disk that is full, ms. */
const START_WITHIN = 2000
/** How long the stop waits for a disk, ms. */
const FLUSH_WITHIN = 1000
const UNSYNCED_NOTICE =
  'the clock of this machine is not set: readings without a time of their own wait until it is, and are then counted with their true time'
/** How often room on the disk is looked after, ms. */
const HOUSEKEEPING = 1000

/** @throws StartError with one clear line: port in use, directory locked, certificate unreadable … */
export async function startGateway(parts: GatewayParts): Promise<Gateway> {
  const directory = resolve(parts.loaded.config.data)
  const storage = await openStorage(parts.loaded.config, directory, parts.clock, parts.log)
  const undo: (() => Promise<void> | void)[] = [() => storage.close()]
  try {
    return await build(parts, storage, undo)
  } catch (error) {
    await undoAll(undo)
    throw error
  }
}

async function undoAll(undo: (() => Promise<void> | void)[]): Promise<void> {
  for (const step of undo.reverse()) await step()
}

async function build(parts: GatewayParts, storage: Storage, undo: (() => Promise<void> | void)[]): Promise<Gateway> {
  const { clock, log, version } = parts
  let { loaded } = parts
  const { config } = loaded
  const { journal, outbox, settings } = storage
  const gateway = config.gateway.id
  const notices: string[] = []
  /** Parts of the config that changed since the start and wait for the next one. */
  let restarts: readonly string[] = []
  let ready = false
  let broker: Broker | undefined

  const live = createLive(clock)
  const deadLetters = createDeadLetters()
  const devices = createDevices()
  const host = createPluginHost({
    gateway,
    plugins: () => loaded.plugins,
    clock,
    log,
    settings,
    resolve: (path) => loaded.resolve(path),
  })
  const commands = openCommands({
    clock,
    log: log.child({ stage: COMMANDS }),
    config: () => loaded.config,
    devices,
  })
  const rules = new RuleStage({
    devices,
    order: (by, order) => commands.stage.order(by, order),
    publish: (topic, payload, retain) => void broker?.publish(topic, payload, { qos: 1, retain }),
  })
  const upstreams = createUpstreams({
    outbox,
    host,
    clock,
    log: log.child({ stage: 'upstream' }),
    maxPause: config.outbox.retry.max,
    onState: (status) =>
      live.upstream({
        name: status.name,
        state: status.state,
        ...(status.lastError ? { error: status.lastError.message } : {}),
      }),
    onCommand: (upstream, payload) => commands.fromUpstream(upstream, payload),
  })
  upstreams.prepare(config.upstreams)

  const lookups = await openLookups(loaded, clock, log)
  undo.push(() => closeLookups(lookups))
  let eventsWait = false
  const output: RecordOutput = {
    wants: (recordClass) => outbox.wants(recordClass),
    append(recordClass, entry, record) {
      outbox.append(recordClass, entry, record)
      if (recordClass === 'event') eventsWait = true
      journal.commitWithin(recordClass === 'event' ? 0 : RESULT_PATIENCE)
    },
  }
  const onlooker = createOnlooker(
    live,
    gateway,
    () => loaded,
    () => broker,
  )
  const recovered = await recover({
    journal,
    checkpoint: storage.checkpoint,
    flow: flowOf(config),
    parts: {
      devices,
      shapes: createShapes(),
      lookups,
      deadLetters,
      output,
      watchers: [rules, commands.stage],
      onlooker,
      typeChanged: (info) => log.warn({ stage: 'decode', ...info }, `field ${info.field} changed its type`),
      displaced: (window, reason, results) =>
        log.info({ stage: 'window', window, results }, `window ${window} ${reason}: what was open was emitted early`),
    },
    restoreStages: (stages) => {
      rules.restore(stages[RULES])
      commands.stage.restore(stages[COMMANDS])
    },
  })
  const { pipeline } = recovered
  const time = createTimeSync(clock, () => clockIsRight(clock), pipeline.held.last)
  if (recovered.entries > 0) {
    const { entries, skipped, differences } = recovered
    log.info({ stage: 'journal', entries, skipped, differences }, `replayed ${entries} journal entries`)
  }
  pipeline.live = true

  const blocked = () => outbox.full('result') || outbox.full('event') || outbox.full('reading')
  const intake = new Intake({ journal, pipeline, time, blocked })
  outbox.onRoom(() => intake.checkRoom())
  journal.onDurable((durable) => {
    const urgent = eventsWait
    eventsWait = false
    void outbox.commit(Math.min(durable, pipeline.entry), urgent)
  })
  const settler = new Settler(journal, intake)
  const taking: SourceState[] = []
  const open = (name: string, durability: Durability): SourceState => {
    const source = intake.source(name, durability)
    taking.push(source)
    if (durability === 'none')
      notices.push(`source ${name} has durability none: a crash loses what it sent since the last checkpoint`)
    return source
  }
  if (!sameFlow(pipeline.flow, flowOf(config))) intake.control({ type: 'flow', flow: flowOf(config) })
  const ruleFact = (fact: RuleFact) => intake.control({ type: 'fact', stage: RULES, fact })
  for (const fact of rules.starting(definitionsOf(config.rules), clock.now())) ruleFact(fact)
  const mqttSource = open('mqtt', config.mqtt.durability)
  const httpSource = open('http', config.http.durability)
  const emit = (name: string, durability: Durability) => createEmit(intake, open(name, durability), clock, settler)
  const sources = createSources(config.sources, { host, clock, log: log.child({ stage: 'ingest' }), emit })
  if (storage.crashed) recordUnjournaled(intake, taking, clock, storage)
  recordLost(intake, storage)
  if (recovered.begunAnew) {
    const now = clock.now()
    intake.control({ type: 'gap', source: 'journal', reason: 'damage', count: 'unknown', from: now, to: now })
  }
  const lookAtTime = () => {
    const offset = time.synced ? undefined : time.offset()
    if (offset === undefined || !intake.control({ type: 'synced', offset, now: clock.now() })) return
    time.done()
    log.info({ offset }, `the clock is right now: it was behind by ${Math.round(offset / 1000)} s`)
  }
  lookAtTime()
  if (!time.synced) log.warn({ now: new Date(clock.now()).toISOString() }, UNSYNCED_NOTICE)

  const checkpointing = createCheckpointing({
    journal,
    pipeline,
    outbox,
    deadLetters,
    store: storage.checkpoints,
    stages: () => ({ [RULES]: rules.snapshot(), [COMMANDS]: commands.stage.snapshot() }),
    clock,
    log: log.child({ stage: 'journal' }),
  })
  await within(clock, START_WITHIN, checkpointing.now())

  const acknowledge = async (id: string, by: string): Promise<boolean> => {
    if (!rules.isRaised(id)) return false
    if (!ruleFact({ type: 'acknowledge', id, by, now: clock.now() })) throw new BusyError('SLUICE_BUSY', 'no room now')
    await journal.flush()
    return true
  }
  let ports: Record<string, number> = {}
  const api = createView({
    gateway,
    version,
    config: loaded.file,
    running: () => ({ values: loaded.effective, origins: loaded.origins }),
    data: storage.directory,
    clock,
    pipeline,
    journal,
    outbox,
    upstreams,
    sources,
    host,
    devices,
    deadLetters,
    live,
    commands: commands.stage,
    rules,
    described: () => loaded.config.devices,
    acknowledge,
    broker: () => broker,
    ports: () => ports,
    notices: () => [...notices, ...restarts, ...(time.synced ? [] : [UNSYNCED_NOTICE])],
    ready: () => (ready ? { ready } : { ready, reason: 'starting or stopping' }),
    trouble: storage.trouble,
    telemetry: telemetryOf(pipeline, createEmit(intake, httpSource, clock, settler)),
  })

  const lane = laneOf(intake, mqttSource, journal, clock)
  const mqttOptions = (next: Loaded) => ({
    ...brokerOptions(next),
    authorizePublish: commands.mqtt.authorizePublish,
  })
  const running = createBroker(mqttOptions(loaded), lane, { clock, log: log.child({ stage: 'broker' }) })
  broker = running
  pipeline.onFlow(() => running.forgetRoutes())
  undo.push(() => running.close())
  ports = { ...(await running.listen()) }

  let token = await httpToken(loaded)
  const secret = createSecret()
  const http = await startHttp({
    options: { ...httpOptions(loaded), token: () => token, secret },
    api,
    clock,
    log: log.child({ stage: 'http' }),
    dashboard: createDashboard(),
  })
  undo.push(() => http.stop())
  http.addresses.forEach(({ port }, i) => {
    ports[i === 0 ? 'http' : `http_${i + 1}`] = port
  })

  commands.start({
    broker: running,
    sources,
    journal: (fact) => (intake.control({ type: 'fact', stage: COMMANDS, fact }) ? journal.last : -1),
    whenDurable: (callback) => settler.add(journal.last, 'fsync', callback),
  })
  sources.start()
  undo.push(() => sources.stop())
  upstreams.start()
  const timers = [
    clock.every(TICK, () => {
      lookAtTime()
      const tick = pipeline.windows.due(clock.now(), clock.monotonic(), pipeline.entry)
      if (tick) intake.control({ type: 'tick', tick })
      const fact = rules.due(clock.now(), clock.monotonic())
      if (fact) ruleFact(fact)
      intake.checkRoom()
      if (!intake.full) intake.flushDrops(taking)
      commands.stage.poke()
    }),
    clock.every(HOUSEKEEPING, () => {
      checkpointing.look()
      recordLost(intake, storage)
      if (!known) void makeKnown()
      const { maxAge } = config.journal
      const keepFrom = storage.checkpoints.oldest + 1
      // Messages that are in a checkpoint are kept for people alone: on a full disk the older half goes.
      const maxBytes = storage.full() ? journal.log.bytes / 2 : config.journal.maxBytes
      void journal.log.retain({ maxBytes, keepFrom, ...(maxAge === undefined ? {} : { maxAge }) })
    }),
  ]
  await portsKnown(sources, clock)
  ports = { ...ports, ...sources.ports() }
  // Without it the command line finds no gateway, but the gateway runs all the same.
  let known = false
  const makeKnown = async () => {
    try {
      await writeRuntime(storage.directory, runtimeOf(ports, http, secret, clock))
      known = true
    } catch (error) {
      unknown.raise(codeOf(error), () =>
        log.warn({ reason: reasonOf(error) }, 'cannot write runtime.json: the command line does not find this gateway'),
      )
    }
  }
  const unknown = createComplaint(clock)
  await makeKnown()
  ready = true

  return {
    get ports() {
      return ports
    },
    api,
    async reload(next) {
      const plan = planReload(loaded.config, next.config)
      // What can fail comes first: a config that can't be used changes nothing.
      const nextToken = await httpToken(next)
      const tables = plan.apply.includes('lookups') ? await openLookups(next, clock, log) : undefined
      try {
        await running.reload(mqttOptions(next))
      } catch (error) {
        closeLookups(tables ?? {})
        throw error
      }
      restarts = planReload(parts.loaded.config, next.config).restart.map(({ path, reason }) => {
        const text = `${path} needs a restart: ${reason}`
        log.warn({ path }, text)
        return text
      })
      token = nextToken
      loaded = next
      // The decoder holds on to its tables until there is another flow.
      if (tables) exchangeLookups(lookups, tables)
      else for (const table of Object.values(lookups)) await table.refresh()
      if (!sameFlow(pipeline.flow, flowOf(next.config)) || tables) {
        intake.control({ type: 'flow', flow: flowOf(next.config) })
      }
      for (const fact of rules.starting(definitionsOf(next.config.rules), clock.now()))
        if (fact.type === 'define') ruleFact(fact)
      await upstreams.reload(next.config.upstreams)
      await checkpointing.now()
    },
    async stop() {
      ready = false
      for (const timer of timers) timer.cancel()
      commands.stage.stop()
      await Promise.all([running.quiesce(), sources.stop()])
      // A disk in trouble takes nothing: what it has not is not acknowledged.
      const flushed = await within(clock, FLUSH_WITHIN, journal.flush())
      settler.abandon()
      await Promise.all([http.stop(), running.close()])
      intake.flushDrops(taking)
      if (flushed) await within(clock, FLUSH_WITHIN, checkpointing.now())
      await upstreams.stop()
      closeLookups(lookups)
      await storage.close()
      await removeRuntime(storage.directory).catch(() => undefined)
    },
  }
}

/** What sources without durability held when the last gateway crashed is gone, and nobody knows how much it was. */
function recordUnjournaled(intake: Intake, sources: readonly SourceState[], clock: Clock, storage: Storage): void {
  const now = clock.now()
  const from = storage.journal.log.oldestTime ?? now
  for (const { name, durability } of sources) {
    if (durability === 'none')
      intake.control({ type: 'gap', source: name, reason: 'crash', count: 'unknown', from, to: now })
  }
}

function recordLost(intake: Intake, storage: Storage): void {
  for (const { count, at } of storage.takeLost()) {
    intake.control({ type: 'gap', source: 'journal', reason: 'damage', count, from: at, to: at })
  }
}
