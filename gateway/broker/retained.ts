/**
 * Retained messages: the last one of each topic that asked for it (section 3.3.1.3), bounded by count and bytes, found
 * by topic filter level by level.
 */
import type { Clock } from '../clock.ts'
import type { Counters } from './counters.ts'
import type { BrokerLimits } from './options.ts'
import { costOf, type Publication } from './publication.ts'

interface Node {
  children: Map<string, Node> | null
  publication: Publication | null
}

export class Retained {
  readonly #root: Node = { children: null, publication: null }
  readonly #limits: BrokerLimits
  readonly #counters: Counters
  readonly #clock: Clock
  #count = 0
  #bytes = 0

  constructor(limits: BrokerLimits, counters: Counters, clock: Clock) {
    this.#limits = limits
    this.#counters = counters
    this.#clock = clock
  }

  get count(): number {
    return this.#count
  }

  get bytes(): number {
    return this.#bytes
  }

  /** Keeps the message instead of the topic's last one; an empty one only takes that away (MQTT-3.3.1-6, -7). False: nothing has changed. */
  set(publication: Publication): boolean {
    const had = this.#remove(publication.topic)
    if (publication.payload.length === 0) return had
    const { retainedMessages, retainedBytes } = this.#limits
    if (this.#count >= retainedMessages || this.#bytes + costOf(publication) > retainedBytes) {
      this.#counters.drop('retained_full')
      return had
    }
    let node = this.#root
    for (const level of publication.topic.split('/')) {
      node.children ??= new Map()
      let child = node.children.get(level)
      if (!child) {
        child = { children: null, publication: null }
        node.children.set(level, child)
      }
      node = child
    }
    node.publication = publication
    this.#count++
    this.#bytes += costOf(publication)
    return true
  }

  get(topic: string): Publication | null {
    return this.#path(topic.split('/'))?.at(-1)?.publication ?? null
  }

  /** Those that match; what has expired goes on the way. */
  match(filter: string): Publication[] {
    const found: Publication[] = []
    collect(this.#root, filter.split('/'), 0, found)
    const now = this.#clock.monotonic()
    const expired = found.filter(({ expires }) => expires <= now)
    for (const { topic } of expired) this.#remove(topic)
    return expired.length === 0 ? found : found.filter(({ expires }) => expires > now)
  }

  all(): Publication[] {
    const found: Publication[] = []
    addAll(this.#root, found)
    return found
  }

  #path(levels: readonly string[]): Node[] | null {
    const path = [this.#root]
    for (const level of levels) {
      const child = path[path.length - 1]?.children?.get(level)
      if (!child) return null
      path.push(child)
    }
    return path
  }

  #remove(topic: string): boolean {
    const levels = topic.split('/')
    const path = this.#path(levels)
    const leaf = path?.[levels.length]
    if (!path || !leaf?.publication) return false
    this.#count--
    this.#bytes -= costOf(leaf.publication)
    leaf.publication = null
    for (let i = levels.length; i > 0; i--) {
      const node = path[i] as Node
      if (node.publication !== null || (node.children && node.children.size > 0)) break
      path[i - 1]?.children?.delete(levels[i - 1] as string)
    }
    return true
  }
}

function collect(node: Node, levels: readonly string[], at: number, found: Publication[]): void {
  const level = levels[at]
  if (level === undefined) {
    if (node.publication) found.push(node.publication)
    return
  }
  if (level !== '#' && level !== '+') {
    const child = node.children?.get(level)
    if (child) collect(child, levels, at + 1, found)
    return
  }
  // `#` also matches the level above it (MQTT 4.7.1.2).
  if (level === '#' && at > 0 && node.publication) found.push(node.publication)
  for (const [name, child] of node.children ?? []) {
    // Wildcards in the first level do not match topics that begin with `$` (MQTT-4.7.2-1).
    if (at === 0 && name.startsWith('$')) continue
    if (level === '#') addAll(child, found)
    else collect(child, levels, at + 1, found)
  }
}

function addAll(node: Node, found: Publication[]): void {
  if (node.publication) found.push(node.publication)
  for (const child of node.children?.values() ?? []) addAll(child, found)
}
