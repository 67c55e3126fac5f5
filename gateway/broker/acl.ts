/**
 * Who may publish and subscribe to what. Without rules, whoever got in may do everything; with rules, what no rule
 * allows is denied. A connection gets the union of the rules that apply to it.
 *
 * `{user}` and `{client}` in a pattern stand for the connection's own names. A name with `+`, `#` or `/` in it, or an
 * empty one, makes the pattern void: a name can never widen what it is put into.
 */
import { covers } from './topics.ts'

export interface AclRule {
  /** Applies to this user only. */
  readonly user?: string
  /** Applies to this client id only. */
  readonly client?: string
  /** Topic patterns with MQTT wildcards. */
  readonly publish?: readonly string[]
  readonly subscribe?: readonly string[]
}

/** The rules of one connection, with its names filled in, split into levels. */
export interface Permissions {
  readonly publish: readonly (readonly string[])[]
  readonly subscribe: readonly (readonly string[])[]
}

/** null: everything is allowed. */
export function permissionsFor(
  rules: readonly AclRule[] | undefined,
  user: string | undefined,
  client: string,
): Permissions | null {
  if (!rules) return null
  const apply = rules.filter(
    (rule) => (rule.user === undefined || rule.user === user) && (rule.client === undefined || rule.client === client),
  )
  const fill = (patterns: readonly string[] | undefined) =>
    (patterns ?? []).map((pattern) => fillIn(pattern, user, client)).filter((levels) => levels !== null)
  return {
    publish: apply.flatMap((rule) => fill(rule.publish)),
    subscribe: apply.flatMap((rule) => fill(rule.subscribe)),
  }
}

function fillIn(pattern: string, user: string | undefined, client: string): readonly string[] | null {
  const levels: string[] = []
  for (const level of pattern.split('/')) {
    if (level.includes('{user}') && !isPlain(user)) return null
    if (level.includes('{client}') && !isPlain(client)) return null
    // One pass, so that a user named `{client}` stays what it is.
    levels.push(level.replace(/\{user\}|\{client\}/g, (name) => (name === '{user}' ? (user ?? '') : client)))
  }
  return levels
}

function isPlain(name: string | undefined): name is string {
  return name !== undefined && name !== '' && !/[+#/]/.test(name)
}

export function mayPublish(permissions: Permissions | null, topic: string): boolean {
  if (isReserved(topic)) return false
  if (!permissions) return true
  const levels = topic.split('/')
  return permissions.publish.some((pattern) => covers(pattern, levels))
}

export function maySubscribe(permissions: Permissions | null, filter: string): boolean {
  if (!permissions) return true
  const levels = filter.split('/')
  return permissions.subscribe.some((pattern) => covers(pattern, levels))
}

/** `$SYS` is the broker's own. */
export function isReserved(topic: string): boolean {
  return topic === '$SYS' || topic.startsWith('$SYS/')
}
