/** Small logs whose records are JSON texts. */
import type { Batch, Log } from './log.ts'

/** The record's number, or -1 when the buffer is full. */
export function appendJson(log: Log, value: unknown): number {
  return log.append(Buffer.from(JSON.stringify(value)))
}

/** What each record of a batch holds; only who appended them knows the shape. */
export function* jsonOf({ count, body, bounds }: Batch): Generator<unknown, void, void> {
  for (let i = 0; i < count; i++) yield JSON.parse(body.toString('utf8', bounds[2 * i], bounds[2 * i + 1]))
}
