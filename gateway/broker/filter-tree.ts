/**
 * Values filed under topic filters, found by topic name: one node per level.
 *
 *     telemetry ─┬─ + ──── # ▸ {a}
 *                └─ d1 ─── cpu ▸ {b, c}
 */

interface Node<Value> {
  children: Map<string, Node<Value>> | null
  values: Set<Value> | null
}

export class FilterTree<Value> {
  readonly #root: Node<Value> = { children: null, values: null }
  #size = 0

  /** Number of (filter, value) pairs. */
  get size(): number {
    return this.#size
  }

  add(filter: string, value: Value): void {
    let node = this.#root
    for (const level of filter.split('/')) {
      node.children ??= new Map()
      let child = node.children.get(level)
      if (!child) {
        child = { children: null, values: null }
        node.children.set(level, child)
      }
      node = child
    }
    node.values ??= new Set()
    if (!node.values.has(value)) this.#size++
    node.values.add(value)
  }

  remove(filter: string, value: Value): void {
    const levels = filter.split('/')
    const path = [this.#root]
    for (const level of levels) {
      const child = path[path.length - 1]?.children?.get(level)
      if (!child) return
      path.push(child)
    }
    if (path[path.length - 1]?.values?.delete(value)) this.#size--
    for (let i = levels.length; i > 0; i--) {
      const node = path[i] as Node<Value>
      if ((node.values && node.values.size > 0) || (node.children && node.children.size > 0)) return
      path[i - 1]?.children?.delete(levels[i - 1] as string)
    }
  }

  /** Adds every value whose filter matches to `found`; a value under several matching filters comes several times. */
  match(topic: string, found: Value[]): void {
    if (this.#size > 0) collect(this.#root, topic.split('/'), 0, found)
  }

  has(topic: string): boolean {
    if (this.#size === 0) return false
    const found: Value[] = []
    this.match(topic, found)
    return found.length > 0
  }
}

function collect<Value>(node: Node<Value>, levels: readonly string[], at: number, found: Value[]): void {
  const children = node.children
  // Wildcards in the first level do not match topics that begin with `$` (MQTT-4.7.2-1).
  const wild = at > 0 || !(levels[0] as string).startsWith('$')
  // `#` also matches the level above it (MQTT-4.7.1.2).
  if (wild) addAll(children?.get('#')?.values, found)
  if (at === levels.length) {
    addAll(node.values, found)
    return
  }
  if (!children) return
  const exact = children.get(levels[at] as string)
  if (exact) collect(exact, levels, at + 1, found)
  const plus = wild ? children.get('+') : undefined
  if (plus) collect(plus, levels, at + 1, found)
}

function addAll<Value>(values: ReadonlySet<Value> | null | undefined, found: Value[]): void {
  if (values) for (const value of values) found.push(value)
}
