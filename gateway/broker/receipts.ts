/**
 * QoS 2 telemetry that was taken and not released (MQTT-4.3.3-10): a client that sends it again is told that it is here.
 * The packet id is in the journal with the message itself, and its release is a fact of the journal, so that after a
 * crash both are known or neither is.
 */
import { createHash } from 'node:crypto'
import { isOwn } from '../ingest/sent-before.ts'
import type { Watcher } from '../watcher.ts'
import type { Sender } from './options.ts'

/** Name of the stage in facts and checkpoints. */
export const STAGE = 'mqtt'

export type ReceiptFact =
  | { readonly type: 'released'; readonly client: string; readonly id: number }
  | { readonly type: 'forgotten'; readonly client: string }

/** A mark has one byte for its length. */
const LONGEST = 250

export class Receipts implements Watcher {
  readonly #ids = new Map<string, Set<number>>()

  of(client: string): readonly number[] {
    return [...(this.#ids.get(keyOf(client)) ?? [])]
  }

  /** Facts that forget all clients but these. */
  *others(clients: Iterable<string>): Generator<ReceiptFact> {
    const kept = new Set([...clients].map(keyOf))
    for (const client of [...this.#ids.keys()]) if (!kept.has(client)) yield { type: 'forgotten', client }
  }

  marked(mark: Buffer): void {
    if (isOwn(mark)) return
    const key = mark.toString('utf8', 2)
    const ids = this.#ids.get(key)
    if (ids) ids.add(mark.readUInt16BE(0))
    else this.#ids.set(key, new Set([mark.readUInt16BE(0)]))
  }

  fact(stage: string, fact: unknown): void {
    if (stage !== STAGE) return
    const done = fact as ReceiptFact
    const ids = this.#ids.get(done.client)
    if (done.type === 'released') ids?.delete(done.id)
    if (done.type === 'forgotten' || ids?.size === 0) this.#ids.delete(done.client)
  }

  snapshot(): Record<string, readonly number[]> {
    return Object.fromEntries([...this.#ids].map(([client, ids]) => [client, [...ids]]))
  }

  restore(snapshot: unknown): void {
    for (const [client, ids] of Object.entries((snapshot ?? {}) as Record<string, readonly number[]>))
      this.#ids.set(client, new Set(ids))
  }
}

export function markOf({ client, id }: Sender): Buffer {
  return Buffer.concat([Buffer.from([id >> 8, id & 0xff]), Buffer.from(keyOf(client))])
}

export function released({ client, id }: Sender): ReceiptFact {
  return { type: 'released', client: keyOf(client), id }
}

export function forgotten(client: string): ReceiptFact {
  return { type: 'forgotten', client: keyOf(client) }
}

/** The client id, or what stands for a long one. */
function keyOf(client: string): string {
  if (client.length <= LONGEST / 4 || Buffer.byteLength(client) <= LONGEST) return client
  return createHash('sha256').update(client).digest('base64')
}
