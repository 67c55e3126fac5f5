/**
 * The log: JSON lines on standard error, pretty when that is a terminal. One threshold holds for every child and can be
 * changed while the gateway runs. Repeated failures are thinned out by `complaint.ts`, not here.
 *
 *   error  data was lost, or a person must act        info   what a person wants to read once
 *   warn   degraded, heals by itself                  debug  what happens, message by message at most
 */
import pino, { type DestinationStream, type Logger, type LoggerOptions } from 'pino'
import type { Clock } from './clock.ts'
import type { PluginLog } from './plugin.ts'

export const LOG_LEVELS = ['debug', 'info', 'warn', 'error'] as const
export type LogLevel = (typeof LOG_LEVELS)[number]

export interface Log extends PluginLog {
  /** A log whose lines carry `bindings`, e.g. `{ stage: 'ingest', source: 'mqtt' }`. */
  child(bindings: object): Log
  /** For this log, its parents and all their children. */
  setLevel(level: LogLevel): void
  /** An error after which the process ends at once: on its way out before this returns. */
  last(fields: object, text: string): void
  /** Writes out what is buffered, at the end of the process. */
  flush(): void
}

export interface LogOptions {
  readonly level?: LogLevel
  /** Default: when the output is a terminal. */
  readonly pretty?: boolean
  /** Default standard error. */
  readonly destination?: DestinationStream
}

/** Lines waiting for a reader of standard error that does not read, bytes; beyond it they are lost, not the gateway. */
const MAX_WAITING = 1024 * 1024

export async function createLog(clock: Clock, options: LogOptions = {}): Promise<Log> {
  const pretty = options.pretty ?? (options.destination === undefined && process.stderr.isTTY === true)
  const output = options.destination ?? pino.destination({ fd: 2, sync: false, maxLength: MAX_WAITING })
  const root = pino(form(clock), pretty ? await prettyStream(output) : output)
  const flush = () => {
    if ('flushSync' in output && typeof output.flushSync === 'function') output.flushSync()
  }
  // A write that the other one has handed to the system is lost when the process ends.
  const atOnce = options.destination ?? pino.destination({ fd: 2, sync: true })
  const ending = pino(form(clock), pretty ? await prettyStream(atOnce) : atOnce)
  const last = (fields: object, text: string) => {
    flush()
    ending.error(fields, text)
  }
  return wrap(root, { threshold: rank(options.level ?? 'info') }, last, flush)
}

function form(clock: Clock): LoggerOptions {
  return {
    level: 'debug',
    base: null,
    timestamp: () => `,"time":"${new Date(clock.now()).toISOString()}"`,
    formatters: { level: (label) => ({ level: label }) },
  }
}

/** In this process: a worker would need a file of its own, which a single executable has not. Loaded only when needed. */
async function prettyStream(destination: DestinationStream): Promise<DestinationStream> {
  const { build } = await import('pino-pretty')
  const colorize = process.stderr.isTTY === true && !process.env.NO_COLOR
  return build({
    colorize,
    destination,
    translateTime: 'SYS:HH:MM:ss.l',
    singleLine: true,
  })
}

function rank(level: LogLevel): number {
  return LOG_LEVELS.indexOf(level)
}

function wrap(logger: Logger, shared: { threshold: number }, last: Log['last'], flush: () => void): Log {
  return {
    debug: (fields, text) => void (shared.threshold <= 0 && logger.debug(fields, text)),
    info: (fields, text) => void (shared.threshold <= 1 && logger.info(fields, text)),
    warn: (fields, text) => void (shared.threshold <= 2 && logger.warn(fields, text)),
    error: (fields, text) => void logger.error(fields, text),
    child: (bindings) => wrap(logger.child(bindings), shared, last, flush),
    setLevel(level) {
      shared.threshold = rank(level)
    },
    last,
    flush,
  }
}
