/**
 * A LwM2M server (OMA LwM2M Core 1.0 and 1.1, server side) on a CoAP service.
 *
 *   /rd ─▶ registrations ─▶ observing ─▶ notifications ─┐
 *               ▲   │                                   ├─▶ telemetry/{endpoint}
 *   /dp ────────┘   │             Send ─────────────────┘
 *   commander ──────┴─▶ read, write, execute …
 */
import { reasonOf } from '../../gateway/errors.ts'
import type { PluginContext, Roles } from '../../gateway/plugin.ts'
import { createCoapService, type Running } from '../coap/service.ts'
import { createCatalog } from './catalog.ts'
import { type Commands, createCommands } from './commands.ts'
import type { Lwm2mConfig } from './config.ts'
import { createObserving, type Observing, type Wanted } from './observing.ts'
import { directoryResources } from './rd.ts'
import type { Registration } from './registration.ts'
import { createRegistrations } from './registrations.ts'
import { sendResource } from './send.ts'

const GAUGES_EVERY = 5000
/** Clients are asked one after the other when the gateway starts, ms apart. */
const SPREAD = 2

export function createLwm2mService(config: Lwm2mConfig, context: PluginContext): Roles {
  const { clock, log, metrics } = context
  const catalog = createCatalog(config.objects)
  const count = (event: string) => metrics.count(event)
  const running = () => service.running()
  let observing: Observing | undefined

  const registrations = createRegistrations(clock, context.store, config.awake, {
    spoke: (registration) => spoke(registration, false),
    removed(registration, why) {
      observing?.end(registration)
      log.info({ endpoint: registration.endpoint, why }, `${registration.endpoint} is no longer registered`)
    },
  })

  const commands: Commands = createCommands({
    config,
    catalog,
    registrations,
    running,
    observe: (registration, { path, attributes }) => observing?.add(registration, path, attributes),
    cancel: (registration, { path }) => observing?.remove(registration, path),
  })

  function spoke(registration: Registration, update: boolean): void {
    observing?.resume(registration, update)
    commands.spoke(registration)
  }

  function wanted(endpoint: string): readonly Wanted[] | undefined {
    const own = config.endpoints[endpoint]?.observe ?? config.observe
    return own?.flatMap(({ path, ...attributes }) => {
      const target = catalog.resolve(path)
      return target ? [{ target, attributes }] : []
    })
  }

  const service = createCoapService(config, context, {
    resources: [
      ...directoryResources({
        registrations,
        maxRegistrations: config.maxRegistrations,
        log,
        running,
        count,
        registered(registration) {
          observing?.begin(registration)
          commands.spoke(registration)
        },
        updated(registration, anew) {
          if (anew) observing?.begin(registration)
          spoke(registration, !anew)
        },
      }),
      sendResource({ catalog, registrations, running, count }),
    ],
    started: (coap) => start(coap),
    gone: (peer) => registrations.gone(peer),
  })

  function start(coap: Running): () => void {
    const { client, intake } = coap
    const { silence } = config
    observing = createObserving({ clock, client, intake, log, catalog, registrations, silence, wanted, count })
    registrations.start((key) => coap.plainPeer(key))
    const stopped = new AbortController()
    comeBack(stopped.signal).catch((error: unknown) => {
      if (!stopped.signal.aborted) log.warn({ error: reasonOf(error) }, 'clients are not observed again')
    })
    const gauges = clock.every(GAUGES_EVERY, () => {
      metrics.gauge('registrations', registrations.size)
      metrics.gauge('observations', observing?.size ?? 0)
    })
    return () => {
      stopped.abort()
      gauges.cancel()
      observing?.stop()
      observing = undefined
      registrations.stop()
    }
  }

  /** Observes what was registered before the gateway stopped. One in queue mode is asked when it speaks. */
  async function comeBack(signal: AbortSignal): Promise<void> {
    for (const registration of [...registrations.all()]) {
      if (registrations.get(registration.id) !== registration) continue
      observing?.begin(registration)
      commands.spoke(registration)
      await clock.sleep(SPREAD, signal)
    }
  }

  return {
    source: service.source,
    commander: {
      reaches: (device) => commands.reaches(device) || service.commander.reaches(device),
      onReachable(listener) {
        const stops = [commands.onReachable(listener), service.commander.onReachable?.(listener)]
        return () => {
          for (const stop of stops) stop?.()
        }
      },
      waiting: (device) => commands.waiting(device) ?? service.commander.waiting?.(device),
      describe: (device) => commands.describe(device) ?? service.commander.describe?.(device),
      devices: () => [...commands.devices(), ...(service.commander.devices?.() ?? [])],
      execute: (command, signal) =>
        commands.reaches(command.device) || !service.commander.reaches(command.device)
          ? commands.execute(command, signal)
          : service.commander.execute(command, signal),
    },
  }
}
