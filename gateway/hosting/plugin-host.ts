/** Makes plugin instances of the config: gives each its context, and keeps its metrics. */
import type { Clock } from '../clock.ts'
import { reasonOf, SluiceError } from '../errors.ts'
import type { Log } from '../logging.ts'
import type { Plugin, PluginMetrics, Roles } from '../plugin.ts'
import type { PluginStores } from './plugin-stores.ts'

export interface HostParts {
  readonly gateway: string
  /** Of the config that holds now. */
  readonly plugins: () => readonly Plugin[]
  readonly clock: Clock
  readonly log: Log
  readonly stores: Pick<PluginStores, 'of'>
  readonly resolve: (path: string) => string
}

/** Numbers of one instance by metric name. */
export interface InstanceMetrics {
  readonly instance: string
  readonly counters: Readonly<Record<string, number>>
  readonly gauges: Readonly<Record<string, number>>
}

export interface PluginHost {
  /**
   * A plugin that cannot be made gets roles that fail, which is seen like any other failure of it.
   *
   * @throws SluiceError when there is no plugin of that name
   */
  create(instance: string, plugin: string, options: unknown): Roles
  metrics(): readonly InstanceMetrics[]
}

export function createPluginHost(parts: HostParts): PluginHost {
  const kept = new Map<string, { counters: Record<string, number>; gauges: Record<string, number> }>()
  const metricsOf = (instance: string): PluginMetrics => {
    const own = kept.get(instance) ?? { counters: {}, gauges: {} }
    kept.set(instance, own)
    return {
      count(name, by = 1) {
        own.counters[name] = (own.counters[name] ?? 0) + by
      },
      gauge(name, value) {
        own.gauges[name] = value
      },
    }
  }
  return {
    create(instance, name, options) {
      const plugin = parts.plugins().find((candidate) => candidate.name === name)
      if (!plugin) throw new SluiceError('SLUICE_PLUGIN_UNKNOWN', `there is no plugin ${name}`)
      try {
        return plugin.create(options, {
          name: instance,
          gateway: parts.gateway,
          clock: parts.clock,
          log: parts.log.child({ stage: 'plugin', instance }),
          metrics: metricsOf(instance),
          store: parts.stores.of(instance),
          path: parts.resolve,
        })
      } catch (cause) {
        const text = `plugin ${name} could not be made: ${reasonOf(cause)}`
        return failing(plugin, new SluiceError('SLUICE_PLUGIN_FAILED', text, { cause }))
      }
    },
    metrics: () => [...kept].map(([instance, own]) => ({ instance, ...own })),
  }
}

function failing({ roles }: Plugin, error: Error): Roles {
  const fail = () => Promise.reject(error)
  return {
    ...(roles.includes('sink') ? { sink: { connect: fail, write: fail, close: () => Promise.resolve() } } : {}),
    // What only commands devices has its failure shown like that of a source.
    ...(roles.some((role) => role !== 'sink') ? { source: { run: fail } } : {}),
  }
}
