/**
 * Many deadlines that are all equally far away: they fall due in the order they were set, so a queue and one timer
 * serve them all. A timer of its own for each of 40,000 datagrams a second would cost more than the datagrams.
 */
import type { Clock, Timer } from '../../gateway/plugin.ts'

export interface DelayQueue<Item> {
  /** `due` is called with the item after the delay, unless it was told to stop before. */
  push(item: Item): void
  /** Takes out the oldest item before its time. */
  shift(): Item | undefined
  readonly size: number
  /** Forgets everything. */
  clear(): void
}

/**
 * @param delay ms
 * @param due is also called for items that no longer matter: it must look
 * @param isOver such items are let go as soon as they are the oldest, so that memory follows what is under way
 */
export function createDelayQueue<Item>(
  clock: Clock,
  delay: number,
  due: (item: Item) => void,
  isOver?: (item: Item) => boolean,
): DelayQueue<Item> {
  let items: (Item | undefined)[] = []
  let times: number[] = []
  let head = 0
  let timer: Timer | undefined

  function shift(): Item | undefined {
    if (head === items.length) return undefined
    const item = items[head]
    items[head++] = undefined
    if (head > 1024 && head * 2 > items.length) {
      items = items.slice(head)
      times = times.slice(head)
      head = 0
    }
    return item
  }

  function arm(ms: number): void {
    timer = clock.after(ms, () => {
      timer = undefined
      const now = clock.monotonic()
      while (head < items.length && (times[head] as number) <= now) due(shift() as Item)
      // At least a millisecond: timers of the machine may fire a fraction early.
      if (head < items.length && timer === undefined) arm(Math.max(1, (times[head] as number) - now))
    })
  }

  return {
    push(item) {
      if (isOver) while (head < items.length && isOver(items[head] as Item)) shift()
      items.push(item)
      times.push(clock.monotonic() + delay)
      if (timer === undefined) arm(delay)
    },
    shift,
    get size() {
      return items.length - head
    },
    clear() {
      timer?.cancel()
      timer = undefined
      items = []
      times = []
      head = 0
    },
  }
}
