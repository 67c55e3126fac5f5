/** Where the pipeline's records go: the outbox, and never onto its disk before the journal holds what they count. */

import type { RecordClass } from '../record.ts'
import type { RecordOutput } from '../watcher.ts'
import type { Storage } from './storage.ts'

/** Results wait for each other this long before they ask the journal for a commit, ms. */
const RESULT_PATIENCE = 50

export interface Outlet extends RecordOutput {
  /** Commits the outbox behind the journal from now on. @param processed the newest entry whose records are all appended */
  follow(processed: () => number): void
}

export function createOutlet({ journal, outbox }: Pick<Storage, 'journal' | 'outbox'>): Outlet {
  let eventsWait = false
  return {
    wants: (recordClass) => outbox.wants(recordClass),
    append(recordClass: RecordClass, entry, record) {
      outbox.append(recordClass, entry, record)
      if (recordClass === 'event') eventsWait = true
      journal.commitWithin(recordClass === 'event' ? 0 : RESULT_PATIENCE)
    },
    follow(processed) {
      journal.log.onDurable((durable) => {
        const urgent = eventsWait
        eventsWait = false
        void outbox.commit(Math.min(durable, processed()), urgent)
      })
    },
  }
}
