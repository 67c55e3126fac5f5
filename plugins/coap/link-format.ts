/** Link format (RFC 6690): `</sensors/temp>;rt="temperature";obs,</…>`. Written for `/.well-known/core`, read from devices. */

export interface Link {
  readonly path: string
  /** `true` for an attribute without a value. */
  readonly attributes: Readonly<Record<string, string | true>>
}

/** Attributes whose value is written without quotes. */
const BARE = new Set(['ct', 'sz'])

export function formatLinks(links: readonly Link[]): string {
  return links
    .map(({ path, attributes }) =>
      Object.entries(attributes).reduce(
        (text, [name, value]) => `${text};${name}${value === true ? '' : `=${quoted(name, value)}`}`,
        `<${path}>`,
      ),
    )
    .join(',')
}

function quoted(name: string, value: string): string {
  return BARE.has(name) && /^\d+$/.test(value) ? value : `"${value.replace(/["\\]/g, '\\$&')}"`
}

/** Links of a query such as `rt=temperature` or `href=/sensors/*` (§4.1); others that are not understood give none. */
export function filterLinks(links: readonly Link[], query: readonly string[]): readonly Link[] {
  return query.reduce((left, part) => {
    const equals = part.indexOf('=')
    const name = equals < 0 ? part : part.slice(0, equals)
    const wanted = equals < 0 ? undefined : part.slice(equals + 1)
    return left.filter((link) => matches(link, name, wanted))
  }, links)
}

function matches(link: Link, name: string, wanted: string | undefined): boolean {
  const value = name === 'href' ? link.path : link.attributes[name]
  if (value === undefined) return false
  if (wanted === undefined) return true
  // Relation types, resource types and interfaces are lists divided by spaces; one of them is enough.
  const values = value === true ? [''] : name === 'href' ? [value] : value.split(' ')
  return wanted.endsWith('*') ? values.some((v) => v.startsWith(wanted.slice(0, -1))) : values.includes(wanted)
}

/** Reads links; what comes after the first thing that is not one is left out. */
export function parseLinks(text: string): Link[] {
  const links: Link[] = []
  const target = /\s*<([^>]*)>/y
  const attribute = /\s*;\s*([^\s=;,"<>]+)(?:\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^";,\s]*)))?/y
  let at = 0
  for (;;) {
    target.lastIndex = at
    const found = target.exec(text)
    if (!found) return links
    at = target.lastIndex
    const attributes: Record<string, string | true> = Object.create(null)
    for (;;) {
      attribute.lastIndex = at
      const part = attribute.exec(text)
      if (!part) break
      at = attribute.lastIndex
      const value = part[2] === undefined ? part[3] : part[2].replace(/\\(.)/g, '$1')
      attributes[(part[1] as string).toLowerCase()] ??= value ?? true
    }
    links.push({ path: found[1] as string, attributes })
    while (text[at] === ' ') at++
    if (text[at] !== ',') return links
    at++
  }
}
