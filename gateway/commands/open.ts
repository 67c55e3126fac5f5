/** The commands of a gateway: the stage, and its ways to devices. */
import type { AclRule } from '../broker/acl.ts'
import type { Broker } from '../broker/broker.ts'
import type { Clock } from '../clock.ts'
import type { Config } from '../config/schema.ts'
import type { Devices } from '../decode/devices.ts'
import { lastValue } from '../devices.ts'
import { BusyError, reasonOf } from '../errors.ts'
import { type CommandStatus, commandRequest } from '../http/schemas.ts'
import type { Sources } from '../ingest/sources.ts'
import type { PluginLog } from '../plugin.ts'
import type { CommandFact, LedgerCommand } from './command.ts'
import { createMqttCommands, type MqttCommands } from './mqtt.ts'
import { pluginTransport } from './plugins.ts'
import { type CommandRuntime, CommandStage } from './stage.ts'
import { createWebhooks } from './webhook.ts'

export interface CommandsParts {
  readonly clock: Clock
  readonly log: PluginLog
  /** As it is now. */
  readonly config: () => Config
  readonly devices: Devices
}

export interface Commands {
  readonly stage: CommandStage
  readonly mqtt: MqttCommands
  /** The replay is over. */
  start(live: LiveParts): void
  /** A command that came from an upstream, JSON text; resolves when it need not be sent again. */
  fromUpstream(upstream: string, payload: Uint8Array): Promise<void>
}

export interface LiveParts {
  readonly broker: Broker
  readonly sources: Sources
  readonly journal: (fact: CommandFact) => number
  readonly whenDurable: CommandRuntime['whenDurable']
}

/** ms before an upstream's command is tried again that found no room. */
const BUSY_PAUSE = 200

export function openCommands({ clock, log, config, devices }: CommandsParts): Commands {
  const declared = (device: string) => {
    const all = config().devices
    return Object.hasOwn(all, device) ? all[device] : undefined
  }
  const stage = new CommandStage({
    clock,
    log,
    options: () => config().commands,
    declared: (device) => declared(device)?.commands,
    lastValue: (device, field) => lastValue(devices.find(device)?.last, field),
  })
  const acl = (): readonly AclRule[] | undefined => config().mqtt.acl
  const mqtt = createMqttCommands(acl)
  const webhooks = createWebhooks((device) => declared(device)?.webhook, clock)
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
    async fromUpstream(upstream, payload) {
      const request = parseRequest(payload)
      if (typeof request === 'string') {
        log.warn({ upstream }, `upstream ${upstream} sent a command that is none: ${request}`)
        return
      }
      for (;;) {
        try {
          await stage.submit(request, `upstream:${upstream}`)
          return
        } catch (error) {
          if (!(error instanceof BusyError)) {
            log.warn({ upstream }, `upstream ${upstream} sent a command that is none: ${reasonOf(error)}`)
            return
          }
          await clock.sleep(BUSY_PAUSE)
        }
      }
    },
  }
}

/** The request, or what is wrong with it. */
function parseRequest(payload: Uint8Array) {
  try {
    const checked = commandRequest.safeParse(JSON.parse(Buffer.from(payload).toString()))
    if (checked.success) return checked.data
    return checked.error.issues.map(({ path, message }) => `${path.join('.')}: ${message}`).join('; ')
  } catch (error) {
    return reasonOf(error)
  }
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
