/**
 * Messages already received, so that one sent again is answered again and not acted on again (RFC 7252 §4.5). Bounded in
 * number and in bytes of replies; what is forgotten first is oldest.
 */
import type { Clock } from '../../gateway/plugin.ts'
import type { Correspondent } from './correspondent.ts'
import { createDelayQueue } from './delay-queue.ts'
import type { Parameters } from './parameters.ts'

export interface Remembered {
  readonly from: Correspondent
  readonly id: number
  readonly mark: number
  /** Sent again when the message comes again. */
  reply: Buffer | undefined
}

export interface Remembrance {
  recall(from: Correspondent, id: number, mark: number): Remembered | undefined
  add(from: Correspondent, id: number, mark: number): Remembered
  answer(memory: Remembered, reply: Buffer): void
  forget(memory: Remembered): void
  clear(): void
}

/** FNV-1a over the datagram. */
export function fingerprint(data: Uint8Array): number {
  let hash = 0x811c9dc5
  for (let i = 0; i < data.length; i++) hash = Math.imul(hash ^ (data[i] as number), 0x01000193)
  return hash
}

export function createRemembrance(clock: Clock, parameters: Parameters): Remembrance {
  let replyBytes = 0
  const queue = createDelayQueue<Remembered>(clock, parameters.exchangeLifetime, forget)

  function forget(memory: Remembered): void {
    const { remembered } = memory.from
    if (remembered?.get(memory.id) === memory) remembered.delete(memory.id)
    replyBytes -= memory.reply?.length ?? 0
    memory.reply = undefined
  }

  function forgetOldest(): void {
    const oldest = queue.shift()
    if (oldest) forget(oldest)
  }

  return {
    recall(from, id, mark) {
      const memory = from.remembered?.get(id)
      return memory?.mark === mark ? memory : undefined
    },
    add(from, id, mark) {
      const memory: Remembered = { from, id, mark, reply: undefined }
      from.remembered ??= new Map()
      from.remembered.set(id, memory)
      queue.push(memory)
      if (queue.size > parameters.maxExchanges) forgetOldest()
      return memory
    },
    answer(memory, reply) {
      replyBytes += reply.length - (memory.reply?.length ?? 0)
      memory.reply = reply
      while (replyBytes > parameters.maxReplyBytes && queue.size > 1) forgetOldest()
    },
    forget,
    clear: () => queue.clear(),
  }
}
