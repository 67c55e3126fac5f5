/** Who is told how far the log is: those that wait for a number, those that follow it, those that listen all the time. */

type Listener = (number: number) => void

/** How far a log is durable. */
export interface Progress {
  readonly durable: number
  readonly marked: number
  readonly markedTo: number
}

/** Waits until all below `next` is durable, and a mark that covers all below `markedTo`. */
interface Waiter {
  readonly next: number
  readonly mark: number
  readonly markedTo: number
  readonly done: () => void
}

export class Listeners {
  readonly durable: Listener[] = []
  readonly written: Listener[] = []
  readonly room: (() => void)[] = []
  #waiters: Waiter[] = []
  readonly #followers = new Set<() => void>()

  /** Somebody waits for a flush. */
  get waiting(): boolean {
    return this.#waiters.length > 0
  }

  wait(next: number, mark: number, markedTo: number): Promise<void> {
    return new Promise((done) => void this.#waiters.push({ next, mark, markedTo, done }))
  }

  /** Resolves at the next `follow`, or when the signal is aborted. */
  follower(signal: AbortSignal): Promise<void> {
    return new Promise((resolve) => {
      const wake = () => {
        this.#followers.delete(wake)
        signal.removeEventListener('abort', wake)
        resolve()
      }
      this.#followers.add(wake)
      signal.addEventListener('abort', wake)
    })
  }

  /** More is durable. */
  follow(durable: number): void {
    for (const wake of this.#followers) wake()
    notify(this.durable, durable)
  }

  /** Those whose wish is fulfilled hear of it. */
  answer({ durable, marked, markedTo }: Progress): void {
    if (this.#waiters.length === 0) return
    const waiters = this.#waiters
    const open = (w: Waiter) => w.next > durable + 1 || w.mark > marked || w.markedTo > markedTo
    this.#waiters = waiters.filter(open)
    for (const waiter of waiters) if (!open(waiter)) waiter.done()
  }

  /** Nothing will be fulfilled any more. */
  release(): void {
    for (const waiter of this.#waiters.splice(0)) waiter.done()
  }
}

/** A listener that throws is a defect of its own, not trouble with the disk. */
export function notify(listeners: readonly Listener[], number: number): void {
  for (const listener of listeners) {
    try {
      listener(number)
    } catch (error) {
      queueMicrotask(() => {
        throw error
      })
    }
  }
}
