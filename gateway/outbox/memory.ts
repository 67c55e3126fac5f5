import type { Clock } from '../clock.ts'
import { createMemoryStore } from './memory-store.ts'
import { type Outbox, type OutboxOptions, openOutbox } from './outbox.ts'

/** An outbox that holds its records in memory, within its budget. They are gone with the process. */
export function openMemoryOutbox(options: OutboxOptions, clock: Clock): Promise<Outbox> {
  const stores = {
    event: createMemoryStore(clock),
    result: createMemoryStore(clock),
    reading: createMemoryStore(clock),
  }
  return openOutbox(options, { clock, stores, state: { saved: undefined, async save() {} } })
}
