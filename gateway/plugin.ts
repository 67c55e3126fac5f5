/**
 * The plugin contract, all of it. A plugin built in is no different from one a person writes in a file of their own.
 *
 * - `create` is pure wiring: no I/O, no timers, nothing that can fail for reasons outside the config.
 * - A source or sink that cannot reach its peer throws `NotConnectedError`; the runtime backs off and calls again.
 * - No module state: one process runs several instances of one plugin.
 * - Time comes from `context.clock` only.
 */
import type { z } from 'zod'
import type { Clock } from './clock.ts'
import type { Message } from './message.ts'
import type { RecordClass } from './record.ts'

export type { Clock, Timer } from './clock.ts'
export type { Message } from './message.ts'
export type { RecordClass } from './record.ts'

/** What happened to a message that was offered: null when it is durable, or why the sender must send it again. */
export type Settled = (error: Error | null) => void

/**
 * Hands messages to the gateway. Calling it resolves when the message is durable (acknowledge it to the sender) and
 * rejects when the sender must redeliver. Pending calls are the back-pressure.
 *
 * A message that cannot be decoded is durable too, as a dead letter: the promise resolves.
 */
export interface Emit {
  (message: Message): Promise<void>
  /**
   * The fast lane, with no promise per message. False when there is no room: the message was not taken, `settled` is
   * not called, and the caller stops reading until `room()` resolves. `settled` is called in the order of the offers;
   * null when the sender expects no acknowledgement: the message is as durable as others, and nobody is told.
   */
  offer(message: Message, settled: Settled | null): boolean
  /** Resolves when there is room again. */
  room(): Promise<void>
}

/** Brings messages in. `run` serves until the signal aborts, then resolves; it may be called again after it threw. */
export interface Source {
  /** @throws NotConnectedError the runtime backs off and calls again */
  run(emit: Emit, signal: AbortSignal): Promise<void>
  /** Ports this source listens on by name; reported in the ready line. Only valid while running. */
  ports?(): Readonly<Record<string, number>>
}

/** Records of one class in one contiguous range. Gap records stand for more than one number, so `count` may be less than `last - first + 1`. */
export interface Batch {
  readonly gateway: string
  readonly class: RecordClass
  readonly epoch: string
  /** First and last sequence number covered. */
  readonly first: number
  readonly last: number
  readonly count: number
  /** Each record's JSON text, byte-identical however often it is sent. */
  readonly records: readonly Buffer[]
  /** The whole batch as JSON text, as `contract` words it. */
  body(): Buffer
}

/** Takes batches out. `write` is never called concurrently, and resolves when the peer has taken the batch for good. */
export interface Sink {
  /** @throws NotConnectedError the runtime backs off and calls again */
  connect(signal: AbortSignal): Promise<void>
  /**
   * @throws NotConnectedError not taken, or not known to be taken: it is sent again
   * @throws PartialWriteError the rest is sent again
   * @throws RefusedError the peer will never take it: recorded as a gap
   */
  write(batch: Batch, signal: AbortSignal): Promise<void>
  close(): Promise<void>
  /** Tells when the connection is lost while nothing is written, so that it comes back before it is needed. Returns a function that stops it. */
  onLost?(listener: (reason: Error) => void): () => void
  /** For a sink whose peer can also send commands. Called once, before the first `connect`. */
  onCommand?(listener: CommandListener): void
}

/**
 * Takes a command that came from upstream: JSON text, as in `POST /api/commands`. Resolves when it is durable; only then
 * is it acknowledged to the peer.
 *
 * @param messageId the peer's name for the message: the id of a command that names none, so that one delivered again is
 *   known
 * @throws RefusedError it is no command and never will be
 */
export type CommandListener = (payload: Uint8Array, messageId?: string) => Promise<void>

/** A telecommand for one device. */
export interface Command {
  /** Idempotency key; a device that sees it twice acts once. */
  readonly id: string
  readonly device: string
  readonly command: string
  readonly args?: unknown
  /** Wall clock, ms since the epoch. */
  readonly deadline: number
}

export interface CommandResult {
  readonly ok: boolean
  readonly result?: unknown
  /** When not ok. */
  readonly reason?: string
}

/** What a commander knows of a device of its own, for people; nothing is decided by it. */
export interface DeviceConnection {
  /** `asleep`: it is known, hears nothing now, and will by itself be there again. */
  readonly state: 'online' | 'asleep' | 'offline'
  /** Such as the binding, the lifetime or the version of its protocol. No secrets. */
  readonly details?: Readonly<Record<string, string | number | boolean>>
}

/** Executes commands on devices. */
export interface Commander {
  /** Whether this commander can reach the device now; it is asked again when the device shows up. */
  reaches(device: string): boolean
  /** Called once for a device that has become reachable. Returns a function that stops the calls. */
  onReachable?(listener: (device: string) => void): () => void
  /**
   * For a device of this commander that it does not reach now: what its commands wait for, as the end of the sentence
   * "waits for …", such as `the device to wake`. Undefined when this commander does not know the device.
   */
  waiting?(device: string): string | undefined
  /** Devices that it keeps a connection or a registration of, whether they have sent anything or not. */
  devices?(): Iterable<string>
  /** Undefined when this commander does not know the device. */
  describe?(device: string): DeviceConnection | undefined
  /** Resolves with the device's answer. Rejects when nothing was sent; resolves never after the signal aborted. */
  execute(command: Command, signal: AbortSignal): Promise<CommandResult>
}

/** A counter or gauge of the plugin's own, shown in `/metrics` as `sluice_plugin_<name>` with the instance's name. */
export interface PluginMetrics {
  count(name: string, by?: number): void
  gauge(name: string, value: number): void
}

export interface PluginLog {
  debug(fields: object, text: string): void
  info(fields: object, text: string): void
  /** Something degraded that heals by itself. */
  warn(fields: object, text: string): void
  /** Data loss, or what a person must act on. */
  error(fields: object, text: string): void
}

/** Small durable settings of one instance (registrations, tokens); not for data. */
export interface PluginStore {
  get(key: string): unknown
  /** Kept as JSON, and not copied: an object may be the plugin's own, with a `toJSON`. Resolves when it is on disk. */
  set(key: string, value: unknown): Promise<void>
  delete(key: string): Promise<void>
  entries(): Iterable<readonly [string, unknown]>
}

/** What the runtime gives to `create`. */
export interface PluginContext {
  /** The instance's name in the config. */
  readonly name: string
  readonly gateway: string
  readonly clock: Clock
  readonly log: PluginLog
  readonly metrics: PluginMetrics
  readonly store: PluginStore
  /** Resolves a path of the config file, relative to that file. */
  path(relative: string): string
}

export interface Roles {
  readonly source?: Source
  readonly sink?: Sink
  readonly commander?: Commander
}

export interface Plugin<Schema extends z.ZodType = z.ZodType> {
  /** As written in the config. */
  readonly name: string
  /** One sentence for the reference page. */
  readonly summary: string
  /** Which roles it can play: decides under which config section it may stand. */
  readonly roles: readonly ('source' | 'sink' | 'commander')[]
  /** A zod object with `.describe()` on every field: the reference page and the error messages come from it. */
  readonly config: Schema
  create(config: z.output<Schema>, context: PluginContext): Roles
}

/** A plugin that is loaded when it is needed. */
export interface DeferredPlugin extends Pick<Plugin, 'name' | 'roles'> {
  load(): Promise<Plugin>
}

/** Only helps inference. */
export function definePlugin<Schema extends z.ZodType>(plugin: Plugin<Schema>): Plugin<Schema> {
  return plugin
}

/** What a user's plugin file is given: `export default (sluice) => plugin`. */
export interface PluginKit {
  readonly z: typeof z
  readonly NotConnectedError: typeof import('./errors.ts').NotConnectedError
  readonly PartialWriteError: typeof import('./errors.ts').PartialWriteError
  readonly RefusedError: typeof import('./errors.ts').RefusedError
}
