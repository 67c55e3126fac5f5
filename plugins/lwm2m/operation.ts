/** A command as an operation on a client: which, where, with what (LwM2M Core 1.1 §6.3). */
import type { Command } from '../../gateway/plugin.ts'
import type { Catalog, Target } from './catalog.ts'
import type { Lwm2mConfig, Operation as Named } from './config.ts'
import type { Path } from './path.ts'
import type { Registration } from './registration.ts'
import { type Attributes, instancesOf } from './request.ts'

export type Verb = Named | 'write-attributes' | 'observe' | 'cancel'

export interface Operation {
  readonly verb: Verb
  readonly path: Path
  readonly value: unknown
  /** Of a write to an instance: leave out what is not given. */
  readonly replace: boolean
  readonly attributes: Attributes
}

/** Why a command is none, in words for the command's record. */
export interface Misfit {
  readonly reason: string
}

const VERBS: readonly string[] = [
  'read',
  'discover',
  'write',
  'execute',
  'create',
  'delete',
  'write-attributes',
  'observe',
  'cancel',
] satisfies readonly Verb[]

/** Numbers of segments a path may have. */
const DEPTHS: Readonly<Record<Verb, readonly number[]>> = {
  read: [1, 2, 3, 4],
  discover: [1, 2, 3],
  write: [2, 3, 4],
  execute: [3],
  create: [1],
  delete: [2],
  'write-attributes': [1, 2, 3, 4],
  observe: [1, 2, 3, 4],
  cancel: [1, 2, 3, 4],
}

export function operationOf(
  command: Command,
  registration: Registration,
  config: Pick<Lwm2mConfig, 'commands' | 'endpoints'>,
  catalog: Catalog,
): Operation | Misfit {
  const { command: name, args } = command
  const own = config.endpoints[registration.endpoint]?.commands ?? {}
  const declared = Object.hasOwn(own, name)
    ? own[name]
    : Object.hasOwn(config.commands, name)
      ? config.commands[name]
      : undefined
  if (declared) {
    const { operation: verb, path, value = args } = declared
    return placed({ verb, value, replace: false, attributes: {} }, path, registration, catalog)
  }
  if (!VERBS.includes(name)) return { reason: `there is no command ${name}: declare it, or use ${VERBS.join(', ')}` }
  const given = typeof args === 'string' ? { path: args } : args
  if (typeof given !== 'object' || given === null) return { reason: `${name} needs {"path"}` }
  const { path, value, mode, args: argument, ...rest } = given as Record<string, unknown>
  if (typeof path !== 'string') return { reason: `${name} needs {"path"}` }
  const attributes = attributesOf(rest)
  if ('reason' in attributes) return attributes
  const verb = name as Verb
  return placed(
    { verb, value: value ?? argument, replace: mode === 'replace', attributes },
    path,
    registration,
    catalog,
  )
}

function attributesOf(given: Readonly<Record<string, unknown>>): Attributes | Misfit {
  const attributes: Record<string, number> = {}
  for (const [name, value] of Object.entries(given)) {
    if (!['pmin', 'pmax', 'gt', 'lt', 'st'].includes(name)) return { reason: `${name} is no part of an operation` }
    if (typeof value !== 'number') return { reason: `${name} is no number` }
    // People say seconds here, as the protocol does.
    attributes[name] = name === 'pmin' || name === 'pmax' ? value * 1000 : value
  }
  return attributes
}

function placed(
  operation: Omit<Operation, 'path'>,
  text: string,
  registration: Registration,
  catalog: Catalog,
): Operation | Misfit {
  const target = catalog.resolve(text)
  if (!target) return { reason: `${text} is neither a path nor the name of a known object` }
  const path = pathOf(target, registration, operation.verb)
  if (!DEPTHS[operation.verb].includes(path.length)) return { reason: `${operation.verb} cannot be done at ${text}` }
  return { ...operation, path }
}

/** A name without an instance means the first that the client has; an object alone is an object. */
function pathOf(target: Target, registration: Registration, verb: Verb): Path {
  const { object, resource, resourceInstance } = target
  const first = instancesOf(registration, object)[0] ?? 0
  const instance = target.instance ?? (resource !== undefined || verb === 'delete' ? first : undefined)
  return [object, instance, resource, resourceInstance].filter((part) => part !== undefined)
}
