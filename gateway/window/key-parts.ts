import { NUMBER, type Reading, type Shape, TEXT } from '../reading.ts'

/** Reads one named text of a reading: `device`, `stream`, a tag, or else a field. */
export class KeyPart {
  readonly name: string
  #shape: Shape | undefined
  #position = -1

  constructor(name: string) {
    this.name = name
  }

  /** Undefined when the reading has none. A field that is a number or a boolean is taken as its text. */
  of(reading: Reading): string | undefined {
    if (this.name === 'device') return reading.device.id
    if (this.name === 'stream') return reading.stream
    const tag: unknown = reading.tags[this.name]
    if (typeof tag === 'string') return tag
    if (reading.shape !== this.#shape) {
      this.#shape = reading.shape
      this.#position = reading.shape.indexOf(this.name)
    }
    return this.#position < 0 ? undefined : textAt(reading, this.#position)
  }
}

function textAt(reading: Reading, position: number): string {
  const kind = reading.shape.kinds[position]
  if (kind === TEXT) return reading.texts[position] as string
  const value = reading.numbers[position] as number
  return kind === NUMBER ? String(value) : value === 1 ? 'true' : 'false'
}

/** The values of several parts, in a scratch array that is used again for each reading. */
export class KeyParts {
  readonly values: string[]
  readonly #parts: readonly KeyPart[]

  constructor(names: readonly string[]) {
    this.#parts = names.map((name) => new KeyPart(name))
    this.values = names.map(() => '')
  }

  /** False when the reading lacks one. */
  read(reading: Reading): boolean {
    const parts = this.#parts
    for (let i = 0; i < parts.length; i++) {
      const value = (parts[i] as KeyPart).of(reading)
      if (value === undefined) return false
      this.values[i] = value
    }
    return true
  }
}

/** Whether a reading has the values that `where` asks for. */
export class Condition {
  readonly #parts: readonly KeyPart[]
  readonly #values: readonly string[]

  constructor(where: Readonly<Record<string, string>>) {
    this.#parts = Object.keys(where).map((name) => new KeyPart(name))
    this.#values = Object.values(where)
  }

  holds(reading: Reading): boolean {
    for (let i = 0; i < this.#parts.length; i++) {
      if ((this.#parts[i] as KeyPart).of(reading) !== this.#values[i]) return false
    }
    return true
  }
}
