/**
 * Which MQTT client is a device, as far as its commands go.
 *
 * A command is for a client that subscribes to `command/…`, be it `command/lamp/+` or `command/#`, and for the client that
 * is the device by name, whatever it subscribes to. A monitor on `#` or `+/#` gets a copy; it is no device that is there.
 *
 * Only the device may answer. A connection that logged in is the device when its user is the device's id, or when an ACL
 * rule lets it publish to `command/…/ack` by name. An anonymous connection, which nobody vouches for, is believed when
 * its client id is the device's id, or when it subscribed to the device's commands. One that subscribed to the commands
 * of many devices answers for those that are not connected themselves.
 */
import { type AclRule, mayPublish, permissionsFor } from '../broker/acl.ts'
import type { Identity } from '../broker/options.ts'
import { matches } from '../broker/topics.ts'

/** Whether the client's own name says that it is the device. */
export function isNamed({ user, client }: Identity, device: string): boolean {
  return (user ?? client) === device
}

/** Whether a client with this subscription, which matches the command's topic, is there to be commanded. */
export function isThere(identity: Identity, filter: string, device: string): boolean {
  return firstLevel(filter) === 'command' || isNamed(identity, device)
}

/** Whether it is this device that subscribed, rather than one that listens for many. */
export function isItself(identity: Identity, filter: string, device: string): boolean {
  return isNamed(identity, device) || filter.startsWith(`command/${device}/`)
}

/** A rule that names `command/…` says it on purpose; one for `#` does not. */
export function isNamedByAcl(
  rules: readonly AclRule[] | undefined,
  { user, client }: Identity,
  topic: string,
): boolean {
  const named = rules?.map((rule) => ({
    ...rule,
    publish: (rule.publish ?? []).filter((pattern) => firstLevel(pattern) === 'command'),
  }))
  return named !== undefined && mayPublish(permissionsFor(named, user, client), topic)
}

function firstLevel(filter: string): string {
  const slash = filter.indexOf('/')
  return slash < 0 ? filter : filter.slice(0, slash)
}

/** Clients that are remembered, and filters of each. */
const MAX_CLIENTS = 50_000
const MAX_FILTERS = 100

/** What anonymous clients have subscribed to below `command/`; it outlives their connections, which may be short. */
export class Listeners {
  readonly #filters = new Map<string, Set<string>>()

  add(client: string, filter: string): void {
    if (firstLevel(filter) !== 'command') return
    const own = this.#filters.get(client) ?? new Set()
    if (own.size < MAX_FILTERS) own.add(filter)
    this.#filters.set(client, own)
    if (this.#filters.size > MAX_CLIENTS) this.#filters.delete(this.#filters.keys().next().value ?? '')
  }

  /** The filters of a client that match the topic. */
  of(client: string, topic: string): string[] {
    return [...(this.#filters.get(client) ?? [])].filter((filter) => matches(filter, topic))
  }
}
