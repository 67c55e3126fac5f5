import { openMemoryOutbox } from '../../gateway/outbox/memory.ts'
import { outboxContract } from './contract.ts'

outboxContract('in memory', async (options, clock) => ({
  outbox: await openMemoryOutbox(options, clock),
  async done() {},
}))
