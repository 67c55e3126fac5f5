import type { Command } from 'commander'
import { ConfigError, reasonOf } from '../errors.ts'
import { createLog, type Log } from '../logging.ts'
import type { Actions, CommandContext, LoadedConfig, RunningGateway } from './actions.ts'
import { urlOf } from './client.ts'
import { EXIT } from './exit-codes.ts'
import { type CommonOptions, defineCommand } from './options.ts'
import { readRuntime } from './runtime.ts'
import { createServiceManager, stagesMove } from './service-manager.ts'

/** A gateway that has not stopped after this long is abandoned, ms; the contract allows 5 s. */
const STOP_WITHIN = 4500
/** ms */
const LINGER = 250
/** 128 + SIGINT, as shells count. */
const INTERRUPTED = 130

export function runCommand<L extends LoadedConfig>(context: CommandContext<Actions<L>>): Command {
  return defineCommand('run', {
    summary: 'run the gateway until SIGTERM or Ctrl-C; SIGHUP reloads the configuration',
    examples: ['sluice run', 'sluice run --config site.yaml --data /var/lib/sluice'],
  }).action((options: CommonOptions) => run(context, options))
}

async function run<L extends LoadedConfig>(context: CommandContext<Actions<L>>, options: CommonOptions): Promise<void> {
  const { actions, terminal } = context
  const signals = listenForSignals()
  const loaded = await actions.load(options, terminal.env)
  const log = await createLog(actions.clock, {
    level: loaded.logLevel,
    ...(loaded.logPretty === undefined ? {} : { pretty: loaded.logPretty }),
  })
  endWithDefects(log)
  logWarnings(log)
  try {
    const gateway = await actions.startGateway({ loaded, clock: actions.clock, log })
    terminal.print(JSON.stringify({ event: 'ready', ports: gateway.ports }))
    const { version } = actions
    const about = { version, config: loaded.file ?? null, data: loaded.data }
    log.info(about, `sluice ${version} is ready${await dashboardOf(loaded.data)}`)
    for (const line of loaded.notice ?? []) log.warn({}, line)
    const service = createServiceManager({
      env: terminal.env,
      clock: actions.clock,
      log,
      // Without an HTTP API it is enough that the event loop turns.
      moves: async () => gateway.ports.http === undefined || stagesMove(loaded.data),
    })
    service.ready()
    let signal = await signals.next()
    for (; signal === 'SIGHUP'; signal = await signals.next()) await reload(context, options, gateway, log)
    service.stopping()
    const code = await stop(context, gateway, log)
    log.info({ signal }, `stopped by ${signal}`)
    context.setExitCode(code)
    // Fires only when something that should have been closed keeps the process alive.
    actions.clock.after(LINGER, () => process.exit(code))
  } finally {
    log.flush()
  }
}

/** Nothing without an HTTP API, or when the disk has not taken runtime.json. */
async function dashboardOf(data: string): Promise<string> {
  const { http } = await readRuntime(data).catch(() => ({ http: undefined }))
  return http ? `: the dashboard is at ${urlOf(http)}` : ''
}

/** After a defect nobody knows what state the gateway is in: it ends, and what starts it again recovers the journal. */
function endWithDefects(log: Log): void {
  process.prependListener('uncaughtException', (error) => {
    log.last({ err: error, code: 'SLUICE_DEFECT' }, 'unexpected failure, the gateway ends')
    process.exit(EXIT.failure)
  })
}

/** What Node warns of is a line of the log, not text among its lines. What is deprecated concerns nobody who runs it. */
function logWarnings(log: Log): void {
  process.removeAllListeners('warning')
  process.on('warning', ({ name, message }) => {
    const level = name === 'DeprecationWarning' ? 'debug' : 'warn'
    log[level]({ warning: name }, message)
  })
}

interface Signals {
  /** The oldest signal that was not taken yet. */
  next(): Promise<NodeJS.Signals>
}

/** From now on signals are kept until the gateway can follow them; a second request to stop is obeyed at once. */
function listenForSignals(): Signals {
  const kept: NodeJS.Signals[] = []
  let wake: (() => void) | undefined
  let stops = 0
  const hear = (signal: NodeJS.Signals) => {
    if (signal !== 'SIGHUP' && ++stops > 1 && signal === 'SIGINT') process.exit(INTERRUPTED)
    kept.push(signal)
    wake?.()
  }
  for (const signal of ['SIGTERM', 'SIGINT', 'SIGHUP'] as const) process.on(signal, hear)
  return {
    async next() {
      for (;;) {
        const signal = kept.shift()
        if (signal) return signal
        await new Promise<void>((resolve) => {
          wake = resolve
        })
      }
    },
  }
}

/** A bad new file leaves the running configuration as it is. */
async function reload<L extends LoadedConfig>(
  { actions, terminal }: CommandContext<Actions<L>>,
  options: CommonOptions,
  gateway: RunningGateway<L>,
  log: Log,
): Promise<void> {
  try {
    const loaded = await actions.load(options, terminal.env)
    await gateway.reload(loaded)
    log.setLevel(loaded.logLevel)
    log.info({ file: loaded.file ?? null }, 'configuration reloaded')
  } catch (error) {
    const text = 'the new configuration is not used, the old one stays'
    if (error instanceof ConfigError) log.error({ mistakes: error.message.split('\n') }, text)
    else log.error({ err: error }, `${text}: ${reasonOf(error)}`)
  }
}

async function stop<L extends LoadedConfig>(
  { actions }: CommandContext<Actions<L>>,
  gateway: RunningGateway<L>,
  log: Log,
): Promise<number> {
  let late = () => undefined as unknown
  const deadline = new Promise<'late'>((resolve) => {
    late = () => resolve('late')
  })
  const timer = actions.clock.after(STOP_WITHIN, late)
  const ended = await Promise.race([gateway.stop(), deadline])
  timer.cancel()
  if (ended !== 'late') return EXIT.ok
  log.error({ within: STOP_WITHIN }, 'did not stop in time: what was not yet durable was not acknowledged either')
  log.flush()
  process.exit(EXIT.failure)
}
