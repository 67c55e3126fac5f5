/**
 * The table of contents: builds the stages in the order of the flow, and stops them in reverse.
 *
 *   storage ─▶ stages ─▶ recovery ─▶ entrance ─▶ broker, HTTP, sources ─▶ upstreams ─▶ chores
 */
import { resolve } from 'node:path'
import { createWhereabouts, startChores } from './assembly/chores.ts'
import { type ConfigSource, type Configuring, createConfiguring } from './assembly/configuring.ts'
import { type Entrance, type EntranceParts, journalTheStart, openEntrance } from './assembly/entrance.ts'
import { brokerOptions, httpCredentials, httpOptions, laneOf, runtimeOf } from './assembly/front.ts'
import { createOutlet } from './assembly/outlet.ts'
import { createReload } from './assembly/reload.ts'
import { createRunning, noticesOf, type Running } from './assembly/running.ts'
import { buildStages, recoverFlow, type Stages } from './assembly/stages.ts'
import { openStorage, type Storage } from './assembly/storage.ts'
import { createBroker } from './broker/embedded.ts'
import type { BrokerOptions } from './broker/options.ts'
import { createSecret, removeRuntime } from './cli/runtime.ts'
import type { Clock } from './clock.ts'
import { STAGE as COMMANDS } from './commands/stage.ts'
import type { Loaded } from './config/load.ts'
import { createDashboard } from './dashboard/dashboard.ts'
import { closeLookups } from './decode/lookups.ts'
import type { Api } from './http/api.ts'
import { type HttpServer, startHttp } from './http/server.ts'
import type { SourceState } from './ingest/intake.ts'
import { readSentBefore } from './ingest/sent-before.ts'
import { createSources, portsKnown, type Sources } from './ingest/sources.ts'
import { createCheckpointing } from './journal/checkpointing.ts'
import type { Files } from './log/files.ts'
import type { Log } from './logging.ts'
import type { Pipeline } from './pipeline.ts'
import { clockIsRight, createTimeSync, type TimeSync } from './time-sync.ts'
import { telemetryOf } from './view/telemetry.ts'
import { createView } from './view/view.ts'
import { within } from './within.ts'

export interface GatewayParts {
  readonly loaded: Loaded
  readonly clock: Clock
  readonly log: Log
  readonly version: string
  /** The machine's by default; tests put a failing disk here. */
  readonly files?: Files
  /** Where the config comes from, so that it can be changed while the gateway runs. */
  readonly source?: ConfigSource
}

export interface Gateway {
  readonly ports: Readonly<Record<string, number>>
  readonly api: Api
  /** Changes what can be changed live and says what cannot. */
  reload(loaded: Loaded): Promise<void>
  /** Closes no window early; flushes. */
  stop(): Promise<void>
}

/** How long the start waits for its checkpoint: not for ever on a disk that is full, ms. */
const START_WITHIN = 2000
/** How long the stop waits for a disk, ms. */
const FLUSH_WITHIN = 1000

/** What of a start must be taken back when it fails, newest last. */
type Undo = (() => Promise<void> | void)[]

/** @throws StartError with one clear line: port in use, directory locked, certificate unreadable … */
export async function startGateway(parts: GatewayParts): Promise<Gateway> {
  const directory = resolve(parts.loaded.config.data)
  const { clock, log, files } = parts
  const storage = await openStorage({ config: parts.loaded.config, directory, clock, log, files })
  const undo: Undo = [() => storage.close()]
  try {
    return await build(parts, storage, undo)
  } catch (error) {
    for (const step of undo.reverse()) await step()
    throw error
  }
}

async function build(parts: GatewayParts, storage: Storage, undo: Undo): Promise<Gateway> {
  const { clock, log } = parts
  const running = createRunning(parts.loaded)
  const { config } = parts.loaded
  const stages = await buildStages({ storage, running, clock, log })
  undo.push(() => closeLookups(stages.lookups))

  const outlet = createOutlet(storage)
  const recovered = await recoverFlow({ storage, running, clock, log }, stages, outlet)
  const { pipeline } = recovered
  outlet.follow(() => pipeline.entry)

  const time = createTimeSync(clock, () => clockIsRight(clock), pipeline.held.last)
  const sentBefore = await readSentBefore(storage.journal, clock)
  const arriving: EntranceParts = { storage, running, stages, recovered, sentBefore, time, clock, log }
  const entrance = openEntrance(arriving)
  const mqttSource = entrance.open('mqtt', config.mqtt.durability)
  const httpSource = entrance.open('http', config.http.durability)
  const ingestLog = log.child({ stage: 'ingest' })
  const sources = createSources(config.sources, { host: stages.host, clock, log: ingestLog, emit: entrance.emit })
  await journalTheStart(entrance, arriving)
  const checkpointing = createCheckpointing({
    journal: storage.journal,
    outbox: storage.outbox,
    history: storage.history,
    pipeline,
    deadLetters: stages.deadLetters,
    store: storage.checkpoints,
    stages: stages.state,
    claim: () => entrance.intake.control({ type: 'advance', shown: [] }),
    clock,
    log: log.child({ stage: 'journal' }),
  })
  await within(clock, START_WITHIN, checkpointing.now())

  const reload = createReload({
    running,
    stages,
    entrance,
    mqttOptions: (next) => mqttOptions(next, stages),
    checkpointing,
    clock,
    log,
  })
  const configuring = createConfiguring({ running, source: parts.source, reload })
  const api = viewOf(parts, { storage, running, stages, pipeline, sources, entrance, time, httpSource, configuring })
  const lane = laneOf(entrance.intake, mqttSource, storage.journal, clock, stages.receipts)
  const broker = createBroker(mqttOptions(parts.loaded, stages), lane, {
    clock,
    log: log.child({ stage: 'broker' }),
    sessions: storage.sessions,
  })
  running.broker = broker
  pipeline.onFlow(() => broker.forgetRoutes())
  undo.push(() => broker.close())
  running.ports = await broker.listen()

  running.credentials = await httpCredentials(parts.loaded)
  const secret = createSecret()
  const http = await startHttp({
    options: { ...httpOptions(parts.loaded), credentials: () => running.credentials, secret },
    api,
    clock,
    log: log.child({ stage: 'http' }),
    dashboard: createDashboard(),
  })
  undo.push(() => http.stop())
  running.ports = { ...running.ports, ...portsOf(http) }

  stages.commands.start({
    broker,
    sources,
    journal: (fact) => (entrance.intake.control({ type: 'fact', stage: COMMANDS, fact }) ? storage.journal.last : -1),
    whenDurable: (callback) => entrance.settler.add(storage.journal.last, 'fsync', callback),
  })
  sources.start()
  undo.push(() => sources.stop())
  stages.upstreams.start()

  const whereabouts = createWhereabouts(
    storage.directory,
    () => runtimeOf(running.ports, http, secret, clock),
    clock,
    log,
  )
  const endChores = startChores({ storage, running, stages, entrance, pipeline, checkpointing, whereabouts, clock })
  await portsKnown(sources, clock)
  running.ports = { ...running.ports, ...sources.ports() }
  await whereabouts.write()
  running.ready = true

  return {
    get ports() {
      return running.ports
    },
    api,
    reload,
    async stop() {
      running.ready = false
      endChores()
      stages.commands.stage.stop()
      await Promise.all([broker.quiesce(), sources.stop()])
      // A disk in trouble takes nothing: what it has not is not acknowledged.
      const flushed = await within(clock, FLUSH_WITHIN, storage.journal.log.flush())
      entrance.settler.abandon()
      await Promise.all([http.stop(), broker.close()])
      entrance.intake.flushDrops(entrance.taking)
      if (flushed) await within(clock, FLUSH_WITHIN, checkpointing.now())
      await stages.upstreams.stop()
      closeLookups(stages.lookups)
      await storage.close()
      await removeRuntime(storage.directory).catch(() => undefined)
    },
  }
}

interface Viewed {
  readonly storage: Storage
  readonly running: Running
  readonly stages: Stages
  readonly pipeline: Pipeline
  readonly sources: Sources
  readonly entrance: Entrance
  readonly time: TimeSync
  readonly httpSource: SourceState
  readonly configuring: Configuring
}

function viewOf({ clock, log, version }: GatewayParts, viewed: Viewed): Api {
  const { storage, running, stages, pipeline, entrance, time } = viewed
  return createView({
    ...stages,
    gateway: running.first.config.gateway.id,
    version,
    config: running.first.file,
    running: () => ({ values: running.loaded.effective, origins: running.loaded.origins }),
    data: storage.directory,
    clock,
    pipeline,
    journal: storage.journal,
    outbox: storage.outbox,
    history: storage.history,
    sources: viewed.sources,
    configuring: viewed.configuring,
    logLevel: () => running.logLevel,
    setLogLevel(level) {
      running.logLevel = level
      log.setLevel(level)
    },
    commands: stages.commands.stage,
    acknowledge: entrance.acknowledge,
    broker: () => running.broker,
    ports: () => running.ports,
    notices: () => noticesOf(running, time.synced),
    ready: () => (running.ready ? { ready: true } : { ready: false, reason: 'starting or stopping' }),
    trouble: storage.trouble,
    wear: storage.wear,
    telemetry: telemetryOf(pipeline, entrance.emitOf(viewed.httpSource)),
  })
}

function mqttOptions(loaded: Loaded, { commands }: Stages): BrokerOptions {
  return { ...brokerOptions(loaded), authorizePublish: commands.mqtt.authorizePublish }
}

function portsOf({ addresses }: HttpServer): Record<string, number> {
  return Object.fromEntries(addresses.map(({ port }, i) => [i === 0 ? 'http' : `http_${i + 1}`, port]))
}
