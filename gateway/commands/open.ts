/** The commands of a gateway: the stage, and its ways to devices. */
import { ZodError } from 'zod'
import type { AclRule } from '../broker/acl.ts'
import type { Broker } from '../broker/broker.ts'
import type { Clock } from '../clock.ts'
import type { Config } from '../config/schema.ts'
import type { Devices } from '../decode/devices.ts'
import type { Descriptions } from '../devices/descriptions.ts'
import { lastValue } from '../devices/devices.ts'
import { BusyError, RefusedError, RequestError, reasonOf } from '../errors.ts'
import { type CommandStatus, commandRequest } from '../http/schemas.ts'
import type { Sources } from '../ingest/sources.ts'
import type { CommandListener, PluginLog } from '../plugin.ts'
import type { CommandFact, LedgerCommand } from './command.ts'
import { createMqttCommands, type MqttCommands } from './mqtt.ts'
import { pluginTransport } from './plugins.ts'
import type { CommandRuntime } from './pursuit.ts'
import { CommandStage } from './stage.ts'
import { createWebhooks } from './webhook.ts'

export interface CommandsParts {
  readonly clock: Clock
  readonly log: PluginLog
  /** As it is now. */
  readonly config: () => Config
  /** What people say of a device. */
  readonly described: Descriptions['get']
  readonly devices: Devices
}

export interface Commands {
  readonly stage: CommandStage
  readonly mqtt: MqttCommands
  /** The replay is over. */
  start(live: LiveParts): void
  /** See `CommandListener`. */
  fromUpstream(upstream: string, ...command: Parameters<CommandListener>): Promise<void>
}

export interface LiveParts {
  readonly broker: Broker
  readonly sources: Sources
  readonly journal: (fact: CommandFact) => number
  readonly whenDurable: CommandRuntime['whenDurable']
}

/** ms before an upstream's command is tried again that found no room. */
const BUSY_PAUSE = 200
/** Of a command's id; a longer name of a message is not taken for one. */
const MAX_ID = 256

export function openCommands({ clock, log, config, described, devices }: CommandsParts): Commands {
  const stage = new CommandStage({
    clock,
    log,
    options: () => config().commands,
    declared: (device) => described(device)?.commands,
    lastValue: (device, field) => lastValue(devices.find(device)?.last, field),
  })
  const acl = (): readonly AclRule[] | undefined => config().mqtt.acl
  const mqtt = createMqttCommands(acl)
  const webhooks = createWebhooks((device) => described(device)?.webhook, clock)
  return {
    stage,
    mqtt,
    start({ broker, sources, journal, whenDurable }) {
      mqtt.attach(broker, ({ device, command, id, result }) => stage.answered(device, command, id, result))
      const plugins = sources
        .list()
        .flatMap(({ name, commander }) => (commander ? [pluginTransport(name, commander)] : []))
      stage.start({ journal, whenDurable, transports: [webhooks, ...plugins, mqtt] })
    },
    async fromUpstream(upstream, payload, messageId) {
      const request = parseRequest(payload)
      const order = messageId && messageId.length <= MAX_ID ? { id: messageId, ...request } : request
      for (;;) {
        try {
          await stage.submit(order, `upstream:${upstream}`)
          return
        } catch (error) {
          if (!(error instanceof BusyError)) throw error instanceof RequestError ? noCommand(error) : error
          await clock.sleep(BUSY_PAUSE)
        }
      }
    },
  }
}

/** @throws RefusedError */
function parseRequest(payload: Uint8Array) {
  try {
    return commandRequest.parse(JSON.parse(Buffer.from(payload).toString()))
  } catch (error) {
    throw noCommand(error)
  }
}

function noCommand(cause: unknown): RefusedError {
  const why =
    cause instanceof ZodError
      ? cause.issues.map(({ path, message }) => `${path.join('.')}: ${message}`).join('; ')
      : reasonOf(cause)
  return new RefusedError('SLUICE_NO_COMMAND', `it is no command: ${why}`, { cause })
}

/** A command as the API shows it. */
export function commandStatus(of: LedgerCommand): CommandStatus {
  const { id, device, command, args, state, by, result, reason, attempts } = of
  return {
    id,
    device,
    command,
    ...(args === undefined ? {} : { args }),
    state,
    by,
    created: new Date(of.created).toISOString(),
    time: new Date(of.time).toISOString(),
    deadline: new Date(of.deadline).toISOString(),
    attempts,
    ...(result === undefined ? {} : { result }),
    ...(reason === undefined ? {} : { reason }),
  }
}
