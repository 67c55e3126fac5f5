/** A batch as it leaves: a range of one class's records, and its JSON text as `Upstream batch` of the contract words it. */
import type { Batch, RecordClass } from '../plugin.ts'

const COMMA = Buffer.from(',')
const END = Buffer.from(']}')

/**
 * @param first lowest sequence number covered; less than the first record's own when that is a gap
 * @param records each record's JSON text
 */
export function createBatch(
  gateway: string,
  recordClass: RecordClass,
  epoch: string,
  first: number,
  last: number,
  records: readonly Buffer[],
): Batch {
  let body: Buffer | undefined
  const count = records.length
  return {
    gateway,
    class: recordClass,
    epoch,
    first,
    last,
    count,
    records,
    body() {
      if (body) return body
      const head = JSON.stringify({ v: 1, gateway, class: recordClass, epoch, first, last, count })
      const parts: Buffer[] = [Buffer.from(`${head.slice(0, -1)},"records":[`)]
      for (let i = 0; i < records.length; i++) {
        if (i > 0) parts.push(COMMA)
        parts.push(records[i] as Buffer)
      }
      parts.push(END)
      body = Buffer.concat(parts)
      return body
    },
  }
}
