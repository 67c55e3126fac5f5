/**
 * The plugins built in. A single executable cannot scan folders, so they stand here, one line each. Those that few
 * gateways use are loaded when the config names them: each takes megabytes of memory.
 */
import type { DeferredPlugin, Plugin } from '../gateway/plugin.ts'
import { http } from './http/index.ts'
import { mqtt } from './mqtt/index.ts'

export const plugins: readonly (Plugin | DeferredPlugin)[] = [
  mqtt,
  http,
  { name: 'amqp', roles: ['source', 'sink', 'commander'], load: async () => (await import('./amqp/index.ts')).amqp },
  {
    name: 'zeromq',
    roles: ['source', 'sink', 'commander'],
    load: async () => (await import('./zeromq/index.ts')).zeromq,
  },
  { name: 'coap', roles: ['source', 'commander'], load: async () => (await import('./coap/index.ts')).coap },
  { name: 'lwm2m', roles: ['source', 'commander'], load: async () => (await import('./lwm2m/index.ts')).lwm2m },
]

/** All of them, loaded: for the reference pages and for tests. */
export function allPlugins(): Promise<readonly Plugin[]> {
  return Promise.all(plugins.map((plugin) => ('load' in plugin ? plugin.load() : plugin)))
}
