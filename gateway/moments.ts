/** Things in the order of their moments: a binary heap. Of equal moments, in no order that means anything. */
export class Moments<T extends { readonly at: number }> {
  readonly #heap: T[] = []

  clear(): void {
    this.#heap.length = 0
  }

  /** The first, or undefined. */
  top(): T | undefined {
    return this.#heap[0]
  }

  push(entry: T): void {
    const heap = this.#heap
    let at = heap.push(entry) - 1
    while (at > 0) {
      const parent = (at - 1) >> 1
      const above = heap[parent] as T
      if (above.at <= entry.at) break
      heap[at] = above
      at = parent
    }
    heap[at] = entry
  }

  /** Takes the first out. */
  pop(): void {
    const heap = this.#heap
    const last = heap.pop()
    if (last === undefined || heap.length === 0) return
    let at = 0
    for (;;) {
      let child = 2 * at + 1
      if (child >= heap.length) break
      if (child + 1 < heap.length && (heap[child + 1] as T).at < (heap[child] as T).at) child++
      if ((heap[child] as T).at >= last.at) break
      heap[at] = heap[child] as T
      at = child
    }
    heap[at] = last
  }
}
