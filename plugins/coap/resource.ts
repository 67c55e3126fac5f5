/** What a server offers: resources, each with a path and a handler per method. */

import type { Option } from './codec.ts'
import { DELETE, FETCH, GET, IPATCH, PATCH, POST, PUT } from './codes.ts'
import type { Observation } from './observe.ts'
import type { Request } from './request.ts'

export interface Response {
  readonly code: number
  readonly contentFormat?: number
  readonly payload?: Uint8Array
  /** Seconds. */
  readonly maxAge?: number
  /** Further options, none of them Observe, Block or Size. */
  readonly options?: readonly Option[]
}

/** Call once. */
export type Respond = (response: Response) => void
export type Handler = (request: Request, respond: Respond) => void

export interface Resource {
  /** Segments divided by slashes; `{name}` matches any one that is not empty. */
  readonly path: string
  readonly get?: Handler
  readonly post?: Handler
  readonly put?: Handler
  readonly delete?: Handler
  readonly fetch?: Handler
  readonly patch?: Handler
  readonly ipatch?: Handler
  /** Shown in `/.well-known/core` with these attributes, up to the first name in its path; without them it is not shown. */
  readonly attributes?: Readonly<Record<string, string | true>>
  /** Its responses are short whatever is asked for: the request is let go while its answer waits. */
  readonly brief?: true
  /** A GET may observe it. Called for each observer that comes, after its first response. */
  readonly observed?: (observation: Observation) => void
}

export function handlerOf(resource: Resource, code: number): Handler | undefined {
  switch (code) {
    case GET:
      return resource.get
    case POST:
      return resource.post
    case PUT:
      return resource.put
    case DELETE:
      return resource.delete
    case FETCH:
      return resource.fetch
    case PATCH:
      return resource.patch
    case IPATCH:
      return resource.ipatch
    default:
      return undefined
  }
}

export interface Match {
  readonly resource: Resource
  readonly params: Readonly<Record<string, string>>
}

/** Finds the resource of a path; the first that fits, in the order given, those with literal first segments before others. */
export function createRouter(resources: readonly Resource[]): (path: readonly string[]) => Match | undefined {
  interface Route {
    readonly resource: Resource
    readonly segments: readonly string[]
    /** Names of the parts, undefined for a literal segment. */
    readonly names: readonly (string | undefined)[]
  }
  const byFirst = new Map<string, Route[]>()
  for (const resource of resources) {
    const segments = resource.path.split('/')
    const names = segments.map((s) => (s.startsWith('{') ? s.slice(1, -1) : undefined))
    const first = names[0] === undefined ? (segments[0] as string) : ''
    byFirst.set(first, [...(byFirst.get(first) ?? []), { resource, segments, names }])
  }

  function fit(route: Route, path: readonly string[]): Match | undefined {
    if (route.segments.length !== path.length) return undefined
    const params: Record<string, string> = {}
    for (let i = 0; i < path.length; i++) {
      const name = route.names[i]
      const segment = path[i] as string
      if (name === undefined ? segment !== route.segments[i] : segment === '') return undefined
      if (name !== undefined) params[name] = segment
    }
    return { resource: route.resource, params }
  }

  function among(routes: readonly Route[] | undefined, path: readonly string[]): Match | undefined {
    if (!routes) return undefined
    for (const route of routes) {
      const match = fit(route, path)
      if (match) return match
    }
    return undefined
  }

  return (path) => among(byFirst.get(path[0] ?? ''), path) ?? among(byFirst.get(''), path)
}
