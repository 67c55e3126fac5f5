/**
 * Topics known by their bytes, so that a PUBLISH needs no text: an open hash table with the string, the route and what
 * else is known of the topic. When it is full it is cleared and fills again; nothing depends on an entry's identity.
 */
import { isReserved } from './acl.ts'
import type { Interest } from './subscriptions.ts'
import { isTopicName, textOf } from './topics.ts'

export interface TopicEntry<Route> {
  readonly bytes: Uint8Array
  readonly hash: number
  readonly topic: string
  /** null: not telemetry. */
  readonly route: Route | null
  /** Clients may not publish to it. */
  readonly reserved: boolean
  /** Who wants it, as of `version` of the subscriptions. */
  interest: Interest | null
  version: number
}

const FIRST_CAPACITY = 1024

export class TopicTable<Route> {
  readonly #limit: number
  readonly #route: (topic: string) => Route | null
  #slots: (TopicEntry<Route> | undefined)[] = new Array(FIRST_CAPACITY).fill(undefined)
  #size = 0

  constructor(limit: number, route: (topic: string) => Route | null) {
    this.#limit = limit
    this.#route = route
  }

  get size(): number {
    return this.#size
  }

  clear(): void {
    this.#slots = new Array(FIRST_CAPACITY).fill(undefined)
    this.#size = 0
  }

  /** The entry of the topic `chunk[start, end)`, or null when it is not a valid topic name. */
  find(chunk: Buffer, start: number, end: number): TopicEntry<Route> | null {
    let hash = 0x811c9dc5
    for (let i = start; i < end; i++) hash = Math.imul(hash ^ (chunk[i] as number), 0x01000193)
    // The low bits of FNV-1a over texts that differ in the last digit alone need this.
    hash ^= hash >>> 15
    const slots = this.#slots
    const mask = slots.length - 1
    for (let i = hash & mask; ; i = (i + 1) & mask) {
      const entry = slots[i]
      if (entry === undefined) return this.#add(hash, chunk, start, end)
      if (entry.hash === hash && isTopic(entry.bytes, chunk, start, end)) return entry
    }
  }

  #add(hash: number, chunk: Buffer, start: number, end: number): TopicEntry<Route> | null {
    const topic = textOf(chunk, start, end)
    if (topic === null || !isTopicName(topic)) return null
    if (this.#size >= this.#limit) this.clear()
    else if (this.#size * 2 >= this.#slots.length) this.#grow()
    const bytes = new Uint8Array(chunk.subarray(start, end))
    const entry = {
      bytes,
      hash,
      topic,
      route: this.#route(topic),
      reserved: isReserved(topic),
      interest: null,
      version: -1,
    }
    place(this.#slots, entry)
    this.#size++
    return entry
  }

  #grow(): void {
    const larger = new Array<TopicEntry<Route> | undefined>(this.#slots.length * 2).fill(undefined)
    for (const entry of this.#slots) if (entry) place(larger, entry)
    this.#slots = larger
  }
}

function place<Route>(slots: (TopicEntry<Route> | undefined)[], entry: TopicEntry<Route>): void {
  const mask = slots.length - 1
  let i = entry.hash & mask
  while (slots[i] !== undefined) i = (i + 1) & mask
  slots[i] = entry
}

/** Whether `bytes` are `chunk[start, end)`; from the end, where topics of a kind differ. */
export function isTopic(bytes: Uint8Array, chunk: Buffer, start: number, end: number): boolean {
  const length = end - start
  if (bytes.length !== length) return false
  for (let i = length - 1; i >= 0; i--) if (bytes[i] !== chunk[start + i]) return false
  return true
}
