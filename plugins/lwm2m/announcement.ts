/** What a client says of itself in the query and the payload of a registration (LwM2M Core 1.1 §6.2.1). */
import { parseLinks } from '../coap/link-format.ts'
import { isLevel } from '../coap/telemetry.ts'
import { type Path, parsePath } from './path.ts'
import type { Announcement, Update } from './registration.ts'

const DEFAULT_LIFETIME = 86_400
/** A year and a day, s: longer is as good as for ever, and would never be noticed. */
const LONGEST_LIFETIME = 366 * 86_400
const MAX_OBJECTS = 1000

/** Why it is refused; `version` has a code of its own. */
export interface Refusal {
  readonly refused: 'bad' | 'version'
  readonly reason: string
}

const bad = (reason: string): Refusal => ({ refused: 'bad', reason })

/** @param identity names the client when it gives no `ep` */
export function announcementOf(
  query: readonly string[],
  payload: Buffer,
  identity: string | undefined,
): Announcement | Refusal {
  const given = parametersOf(query)
  const endpoint = given.get('ep') || identity
  if (!endpoint || !isLevel(endpoint)) return bad('ep is missing, or has a slash, plus or hash in it')
  const version = given.get('lwm2m') ?? '1.0'
  if (version !== '1.0' && version !== '1.1') return { refused: 'version', reason: 'LwM2M 1.0 and 1.1 are spoken here' }
  const update = updateFrom(given, payload)
  if ('refused' in update) return update
  const { lifetime = DEFAULT_LIFETIME, binding = 'U', queue = given.has('Q'), objects = [], root = '' } = update
  return { endpoint, lifetime, version, binding, queue, objects, root }
}

/** What an update changes. */
export function updateOf(query: readonly string[], payload: Buffer): Update | Refusal {
  return updateFrom(parametersOf(query), payload)
}

function updateFrom(given: ReadonlyMap<string, string>, payload: Buffer): Update | Refusal {
  const lt = given.get('lt')
  if (lt !== undefined && !/^\d{1,10}$/.test(lt)) return bad('lt is no number of seconds')
  const binding = given.get('b')
  if (binding !== undefined && !/^[UQSTNMH]*U[UQSTNMH]*$/.test(binding)) return bad('only UDP is spoken here')
  const announced: Update | Refusal = payload.length === 0 ? {} : objectsOf(payload.toString())
  if ('refused' in announced) return announced
  return {
    ...(lt !== undefined && { lifetime: Math.min(Math.max(1, Number(lt)), LONGEST_LIFETIME) }),
    ...(binding !== undefined && { binding, queue: binding.includes('Q') || given.has('Q') }),
    ...announced,
  }
}

function objectsOf(text: string): Pick<Announcement, 'objects' | 'root'> | Refusal {
  const links = parseLinks(text)
  if (links.length === 0) return bad('the payload is no list of links')
  if (links.length > MAX_OBJECTS) return bad(`more than ${MAX_OBJECTS} objects`)
  const main = links.find(({ attributes }) => attributes.rt === 'oma.lwm2m')
  const root = (main?.path ?? '').replace(/\/$/, '')
  const objects: Path[] = []
  for (const { path } of links) {
    if (!path.startsWith(`${root}/`)) continue
    const parsed = parsePath(path.slice(root.length))
    if (parsed && (parsed.length === 1 || parsed.length === 2)) objects.push(parsed)
  }
  return { objects, root: root.replace(/^\//, '') }
}

function parametersOf(query: readonly string[]): Map<string, string> {
  return new Map(
    query.map((part) => {
      const equals = part.indexOf('=')
      return equals < 0 ? [part, ''] : [part.slice(0, equals), part.slice(equals + 1)]
    }),
  )
}
