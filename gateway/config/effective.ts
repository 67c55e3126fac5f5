/** The config as a person would have to write it to say everything: defaults filled in, secrets hidden, and where each value came from. */
import type { ConfigDocument, Path } from './document.ts'
import { childSchema, type JsonSchema } from './json-schema.ts'
import type { Override } from './override.ts'

export type Origin = 'default' | 'file' | 'env'

export interface Effective {
  /** Durations and sizes as they were written. */
  readonly values: unknown
  /** By dotted path, one per leaf. */
  readonly origins: Readonly<Record<string, Origin>>
}

const HIDDEN = '***'
/** Options of plugins that hold a secret itself; `passwordFile` only says where it is. */
const SECRET = /(?:password|passphrase|token|secret|^psk)$/i

/** `mqtt://user:password@host` → `mqtt://user:***@host` */
function withoutPassword(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(withoutPassword)
  return typeof value === 'string' ? value.replace(/^([a-z0-9+.-]+:\/\/[^/@:]*:)[^/@]*@/i, `$1${HIDDEN}@`) : value
}

export function effectiveConfig(
  value: unknown,
  schema: JsonSchema,
  document: ConfigDocument,
  overrides: readonly Override[],
): Effective {
  const origins: Record<string, Origin> = {}

  function leaf(written: unknown, of: JsonSchema | undefined, path: Path, origin: Origin): unknown {
    origins[path.join('.')] = origin
    return of?.writeOnly || SECRET.test(String(path.at(-1))) ? HIDDEN : withoutPassword(written)
  }

  function originOf(path: Path): Origin {
    if (overrides.some((override) => override.path.every((part, i) => String(part) === String(path[i])))) return 'env'
    // Beside a value from the environment, the rest of a default stays.
    return document.has(path) ? 'file' : 'default'
  }

  function walk(given: unknown, of: JsonSchema | undefined, path: Path, inherited: boolean): unknown {
    const isDefault = inherited || given === undefined
    const written = given === undefined ? of?.default : given
    if (Array.isArray(written) && written.some(isObject)) {
      return written.map((item, i) => walk(item, childSchema(of, i), [...path, i], isDefault))
    }
    if (!isObject(written) || Array.isArray(written))
      return leaf(written, of, path, isDefault ? 'default' : originOf(path))
    return fill(written, of, path, isDefault)
  }

  function fill(
    written: Readonly<Record<string, unknown>>,
    of: JsonSchema | undefined,
    path: Path,
    inherited: boolean,
  ): unknown {
    const absent = Object.entries(of?.properties ?? {}).flatMap(([key, child]) =>
      Object.hasOwn(written, key) || child.default === undefined ? [] : [key],
    )
    return Object.fromEntries(
      [...Object.keys(written), ...absent].map((key) => [
        key,
        walk(written[key], childSchema(of, key), [...path, key], inherited),
      ]),
    )
  }

  return { values: walk(value, schema, [], false), origins }
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null
}
