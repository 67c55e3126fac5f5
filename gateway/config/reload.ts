/**
 * What a changed config needs. Whatever the table does not call live needs a restart; a reload applies the live parts
 * and names the others.
 */
import { isDeepStrictEqual } from 'node:util'
import type { Config } from './schema.ts'

/** Parts that are exchanged while the gateway runs; a path covers all below it. */
export const LIVE = [
  'decode',
  'lookups',
  'windows',
  'rules',
  'commands',
  'devices',
  'upstreams',
  'log',
  'mqtt.acl',
  'mqtt.passwordFile',
  'mqtt.limits',
  'http.token',
  'http.tokenFile',
  'http.users',
] as const
export type LivePart = (typeof LIVE)[number]

const REASONS: Readonly<Record<string, string>> = {
  'gateway.id': 'it stands in the numbers of all that was sent',
  data: 'the directory is locked while the gateway runs',
  'mqtt.listen': 'listeners are opened at start',
  'mqtt.tls': 'listeners are opened at start',
  'mqtt.websocket': 'listeners are opened at start',
  'mqtt.anonymous': 'who is connected was let in under the old rule',
  'http.listen': 'listeners are opened at start',
  'http.tls': 'listeners are opened at start',
  journal: 'the journal is opened at start',
  history: 'its files are opened at start',
  outbox: 'the outbox is opened at start',
  sources: 'sources are started with the gateway',
  plugins: 'plugins are loaded at start',
}

export interface ReloadPlan {
  /** What changed and can be exchanged now. */
  readonly apply: readonly LivePart[]
  /** What changed and stays as it was until the gateway starts again. */
  readonly restart: readonly { readonly path: string; readonly reason: string }[]
}

export function planReload(old: Config, next: Config): ReloadPlan {
  const changed = differences(old, next, '', 0)
  const apply = LIVE.filter((live) => changed.some((path) => covers(live, path)))
  const restart = changed
    .filter((path) => !LIVE.some((live) => covers(live, path)))
    .map((path) => ({ path, reason: reasonFor(path) }))
  return { apply, restart }
}

/** Dotted paths of what differs, two levels deep: `mqtt.listen`, `windows.per-device`. */
function differences(a: unknown, b: unknown, path: string, depth: number): string[] {
  if (isDeepStrictEqual(a, b)) return []
  if (depth === 2 || !isMapping(a) || !isMapping(b)) return [path]
  const keys = [...new Set([...Object.keys(a), ...Object.keys(b)])]
  return keys.flatMap((key) => differences(a[key], b[key], path === '' ? key : `${path}.${key}`, depth + 1))
}

function covers(above: string, path: string): boolean {
  return path === above || path.startsWith(`${above}.`)
}

function reasonFor(path: string): string {
  const known = Object.keys(REASONS).find((above) => covers(above, path))
  return known === undefined ? 'it is read at start' : (REASONS[known] ?? '')
}

function isMapping(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
