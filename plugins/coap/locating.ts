/**
 * From the path in a datagram to a resource. A sensor posts to the same path again and again, so what a path means is
 * kept by its bytes, as they stand in the datagram: no text is made of it a second time.
 */
import type { CoapMessage } from './codec.ts'
import { texts, URI_PATH } from './options.ts'
import type { Demands } from './request.ts'
import type { Match } from './resource.ts'

export interface Located {
  readonly path: readonly string[]
  readonly match: Match | undefined
}

/** Paths kept; then all are forgotten and learned again. */
const MAX_PATHS = 20_000
/** Longer ones are not kept, bytes. */
const USUAL = 128

export function createLocating(
  route: (path: readonly string[]) => Match | undefined,
): (message: CoapMessage, demands: Demands) => Located {
  const known = new Map<string, Located>()

  function locate(message: CoapMessage): Located {
    const path = texts(message.options, URI_PATH)
    return { path, match: route(path) }
  }

  return (message, { pathStart, pathEnd }) => {
    if (pathEnd - pathStart > USUAL) return locate(message)
    const key = message.data.toString('latin1', pathStart, pathEnd)
    const found = known.get(key)
    if (found) return found
    if (known.size >= MAX_PATHS) known.clear()
    const located = locate(message)
    known.set(key, located)
    return located
  }
}
