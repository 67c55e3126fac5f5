/** Counting a reading's numbers in the rows of a pane. */
import type { Reading } from '../reading.ts'
import type { Plan } from './layout.ts'
import { type Moment, TIME } from './moment.ts'
import { COUNT, MAX, MIN, noteOrder, RECENTRED_FROM, recentre, SHIFT, SQUARES, SUM } from './statistics.ts'

/** The innermost loop of the gateway. @param base where the pane's block begins in the chunk */
export function addNumbers(chunk: Float64Array, base: number, plan: Plan, numbers: Float64Array): void {
  const { from, to } = plan
  for (let i = 0; i < from.length; i++) {
    const value = numbers[from[i] as number] as number
    const row = base + (to[i] as number)
    const count = chunk[row + COUNT] as number
    chunk[row + COUNT] = count + 1
    if (count === 0) {
      chunk[row + SHIFT] = value
      chunk[row + MIN] = value
      chunk[row + MAX] = value
      continue
    }
    const d = value - (chunk[row + SHIFT] as number)
    chunk[row + SUM] = (chunk[row + SUM] as number) + d
    chunk[row + SQUARES] = (chunk[row + SQUARES] as number) + d * d
    if (value < (chunk[row + MIN] as number)) chunk[row + MIN] = value
    else if (value > (chunk[row + MAX] as number)) chunk[row + MAX] = value
    if ((count & (count + 1)) === 0 && count + 1 >= RECENTRED_FROM) recentre(chunk, row)
  }
}

/** For `first`, `last` and `rate`, which depend on the order of the event times. */
export function addOrder(
  chunk: Float64Array,
  base: number,
  plan: Plan,
  reading: Reading,
  moment: Moment,
  rate: boolean,
): void {
  const time = moment[TIME] as number
  for (let i = 0; i < plan.from.length; i++) {
    const value = reading.numbers[plan.from[i] as number] as number
    noteOrder(chunk, base + (plan.to[i] as number), value, time, rate)
  }
}
