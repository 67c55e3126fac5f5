/** First in, first out, without moving what waits each time. */
export class Line<Value> {
  readonly #values: Value[] = []
  #head = 0

  get size(): number {
    return this.#values.length - this.#head
  }

  push(value: Value): void {
    this.#values.push(value)
  }

  /** Takes back what was pushed last. */
  pop(): void {
    this.#values.pop()
  }

  /** What was pushed first; there must be something. */
  shift(): Value {
    const value = this.#values[this.#head] as Value
    this.#head++
    if (this.#head === this.#values.length) {
      this.#values.length = 0
      this.#head = 0
    } else if (this.#head >= 1024) {
      this.#values.splice(0, this.#head)
      this.#head = 0
    }
    return value
  }
}
