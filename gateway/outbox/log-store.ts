import type { Batch, Log } from '../log/log.ts'
import type { Kept, Store } from './store.ts'

/** A reader that stands where a sink will go on. */
interface Bookmark {
  /** Position of the next record it gives. */
  next: number
  readonly batches: AsyncGenerator<Batch, void, void>
  /** What is left of its last batch. */
  batch: Batch | undefined
  /** Index of `next` in that batch. */
  at: number
}

/** As many sinks may read at different places without searching for them each time. */
const BOOKMARKS = 4

export interface RecordReader {
  readonly read: Store['read']
  close(): void
}

/** Reads a log by positions; whoever goes on where it stood is not searched for. */
export function createRecordReader(open: (from: number) => Bookmark['batches']): RecordReader {
  let bookmarks: Bookmark[] = []

  const bookmark = (from: number): Bookmark => {
    const at = bookmarks.findIndex((mark) => mark.next === from)
    const [found] = at < 0 ? [] : bookmarks.splice(at, 1)
    return found ?? { next: from, batches: open(from), batch: undefined, at: 0 }
  }

  const leave = (mark: Bookmark) => {
    bookmarks.push(mark)
    const [oldest] = bookmarks.length > BOOKMARKS ? bookmarks.splice(0, 1) : []
    void oldest?.batches.return()
  }

  return {
    async read(from, count, bytes) {
      const mark = bookmark(from)
      const found: Kept[] = []
      let size = 0
      while (found.length < count) {
        if (mark.batch === undefined || mark.at === mark.batch.count) {
          const { value } = await mark.batches.next()
          if (!value) return found
          mark.batch = value
          mark.at = 0
        }
        const { body, bounds, first, time } = mark.batch
        const record = body.subarray(bounds[2 * mark.at], bounds[2 * mark.at + 1])
        if (found.length > 0 && size + record.length > bytes) break
        found.push({ position: first + mark.at, bytes: record, time })
        size += record.length
        mark.next = first + ++mark.at
      }
      leave(mark)
      return found
    },
    close() {
      for (const { batches } of bookmarks) void batches.return()
      bookmarks = []
    },
  }
}

/** Keeps records in a durable log. */
export function createLogStore(log: Log): Store {
  const reader = createRecordReader((from) => log.read(from))
  return {
    epoch: log.epoch,
    get first() {
      return log.first
    },
    get next() {
      return log.next
    },
    get durable() {
      return log.durable + 1
    },
    get marked() {
      return log.marked
    },
    get unmarked() {
      return log.unmarked
    },
    get bytes() {
      return log.bytes + log.pendingBytes
    },
    append: (bytes) => log.append(bytes) !== -1,
    mark: (value) => log.mark(value),
    commit: () => log.flush(),
    read: reader.read,
    oldest(from) {
      return from === log.first ? log.oldestUnit() : null
    },
    trim(end) {
      void log.trimTo(end)
    },
    async close() {
      reader.close()
      await log.close()
    },
  }
}
