/** Rules of a group of which a leaf changed: each once, in the order in which they did. */
export class Changed {
  readonly #list: Int32Array
  readonly #isIn: Uint8Array
  size = 0

  /** @param rules how many the group has */
  constructor(rules: number) {
    this.#list = new Int32Array(rules)
    this.#isIn = new Uint8Array(rules)
  }

  add(rule: number): void {
    if (this.#isIn[rule] === 1) return
    this.#isIn[rule] = 1
    this.#list[this.size++] = rule
  }

  at(i: number): number {
    return this.#list[i] as number
  }

  clear(): void {
    for (let i = 0; i < this.size; i++) this.#isIn[this.#list[i] as number] = 0
    this.size = 0
  }
}
