import { randomBytes } from 'node:crypto'
import type { Clock } from '../clock.ts'
import type { Kept, Store } from './store.ts'

/** Compact the array when this many places at its front are empty. */
const SLACK = 1024

/** Keeps records in memory: bounded by the outbox's budget, gone with the process. */
export function createMemoryStore(clock: Clock): Store {
  const records: Buffer[] = []
  const times: number[] = []
  let base = 1
  let first = 1
  let durable = 1
  let mark = 0
  let marked = 0
  let bytes = 0
  const next = () => base + records.length
  return {
    epoch: randomBytes(8).toString('hex'),
    get first() {
      return first
    },
    get next() {
      return next()
    },
    get durable() {
      return durable
    },
    get marked() {
      return marked
    },
    get unmarked() {
      return next()
    },
    get bytes() {
      return bytes
    },
    append(record) {
      records.push(record)
      times.push(clock.now())
      bytes += record.length
      return true
    },
    mark(value) {
      mark = value
    },
    async commit() {
      durable = next()
      marked = mark
    },
    async read(from, count, limit) {
      const found: Kept[] = []
      let size = 0
      for (let position = Math.max(from, first); position < durable && found.length < count; position++) {
        const record = records[position - base] as Buffer
        if (found.length > 0 && size + record.length > limit) break
        size += record.length
        found.push({ position, bytes: record, time: times[position - base] as number })
      }
      return found
    },
    oldest(from) {
      const position = Math.max(from, first)
      return position < durable ? { end: position + 1, bytes: (records[position - base] as Buffer).length } : null
    },
    trim(end) {
      for (; first < Math.min(end, durable); first++) {
        bytes -= (records[first - base] as Buffer).length
        records[first - base] = EMPTY
      }
      if (first - base < SLACK || first - base < records.length / 2) return
      records.splice(0, first - base)
      times.splice(0, first - base)
      base = first
    },
    async close() {},
  }
}

const EMPTY = Buffer.alloc(0)
