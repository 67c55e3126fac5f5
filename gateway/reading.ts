/**
 * A reading is one decoded observation: device, event time, tags, fields.
 *
 * At 300,000 a second an object per reading with a property per field costs more than all the arithmetic on it. So a
 * decoder owns one `Reading`, fills it and hands it on; whoever is given it copies what must be kept and never keeps
 * the object. Field names and kinds are not in it: they are its `Shape`, one object shared by all readings that carry
 * the same fields in the same order, like the hidden class of a JavaScript engine. A stage that has seen a shape once
 * knows where every field goes.
 *
 *        root ──"cpu" number──▶ shape1 ──"mem" number──▶ shape2 ──"state" text──▶ shape3
 *
 *   reading.shape   = shape3
 *   reading.numbers = [ 51, 1490, …                 indexed by the field's position; booleans are 0 and 1
 *   reading.texts   = [ '', '',   'NSW' …           only meaningful where the kind is TEXT
 */

export const NUMBER = 0
export const TEXT = 1
export const BOOLEAN = 2
export type Kind = typeof NUMBER | typeof TEXT | typeof BOOLEAN

/** A reading has at most this many fields; more is refused as `too_many_fields`. */
export const MAX_FIELDS = 1024

/** Text tags of a reading. Frozen, and the same object for every reading of one topic (and one lookup result). */
export type Tags = Readonly<Record<string, string>>

export const NO_TAGS: Tags = Object.freeze({})

/** The names and kinds of a reading's fields, in order. Compare by identity. */
export interface Shape {
  /** Position of the last field plus one; the root has 0. */
  readonly size: number
  readonly names: readonly string[]
  readonly kinds: readonly Kind[]
  /** The shape with one field more. Throws when a field of that name is there already. */
  with(name: string, kind: Kind): Shape
  /** Position of a field, or -1. */
  indexOf(name: string): number
}

/**
 * A sender's device. One object per device id and process; stages hang what they know of it on `slots`, so that the
 * hot path needs no look-up by text.
 */
export interface Device {
  readonly id: string
  /** One place per window definition (see `window/`), empty until used. */
  readonly slots: unknown[]
  /** Per group of rules what they know of it; see `rules/keys.ts`. */
  judged?: unknown[] | undefined
  /** Its series in the history; see `history/`. */
  history?: object
  /** What it sent last, for people and for preconditions of commands; see `devices.ts`. */
  last?: LastReading
}

/** A copy of a device's last reading; `numbers` and `texts` are as in `Reading`, cut to the shape. */
export interface LastReading {
  source: string
  stream: string | undefined
  tags: Tags
  time: number
  received: number
  shape: Shape
  numbers: number[]
  texts: string[]
  /** Readings of this device since the gateway started. */
  count: number
}

/** The mutable row. Only its decoder writes to it; valid until the decoder's next reading. */
export interface Reading {
  /** Name of the source it came through, as in the config: `mqtt`, `http`, `zmq` … */
  source: string
  device: Device
  /** Last part of the topic, or undefined. Also a tag that windows can be keyed by, under the name `stream`. */
  stream: string | undefined
  tags: Tags
  /** Event time, ms since the epoch, may have a fraction. */
  time: number
  /** Wall clock at arrival, ms since the epoch. */
  received: number
  /** True when the message carried no time and `time` is the gateway's. */
  stamped: boolean
  shape: Shape
  readonly numbers: Float64Array
  readonly texts: string[]
}

class ShapeNode implements Shape {
  readonly size: number
  readonly names: readonly string[]
  readonly kinds: readonly Kind[]
  readonly #next = new Map<string, Shape>()
  readonly #budget: { left: number }

  constructor(names: readonly string[], kinds: readonly Kind[], budget: { left: number }) {
    this.size = names.length
    this.names = names
    this.kinds = kinds
    this.#budget = budget
  }

  with(name: string, kind: Kind): Shape {
    const key = kind + name
    const known = this.#next.get(key)
    if (known) return known
    if (this.names.includes(name)) throw new RangeError(`field ${name} stands twice`)
    const next = new ShapeNode([...this.names, name], [...this.kinds, kind], this.#budget)
    // Beyond the budget shapes still work, they are only not shared: hostile senders cannot fill the memory.
    if (this.#budget.left > 0) {
      this.#budget.left -= 1 + (next.size >> 5)
      this.#next.set(key, next)
    }
    return next
  }

  indexOf(name: string): number {
    return this.names.indexOf(name)
  }
}

/** A tree of shapes; at most `limit` of them are shared. */
export function createShapes(limit = 20_000): Shape {
  return new ShapeNode([], [], { left: limit })
}

/** An empty row; `shape` is what `createShapes` gave. */
export function createReading(device: Device, shape: Shape): Reading {
  return {
    source: '',
    device,
    stream: undefined,
    tags: NO_TAGS,
    time: 0,
    received: 0,
    stamped: false,
    shape,
    numbers: new Float64Array(MAX_FIELDS),
    texts: new Array<string>(MAX_FIELDS).fill(''),
  }
}

/** The fields as a plain object: for people, APIs and raw records, not for the hot path. */
export function fieldsOf(
  reading: Pick<Reading, 'shape' | 'texts'> & { readonly numbers: ArrayLike<number> },
): Record<string, number | string | boolean> {
  const fields: Record<string, number | string | boolean> = Object.create(null)
  const { names, kinds } = reading.shape
  for (let i = 0; i < names.length; i++) {
    const kind = kinds[i]
    const number = reading.numbers[i] as number
    fields[names[i] as string] =
      kind === NUMBER ? number : kind === BOOLEAN ? number === 1 : (reading.texts[i] as string)
  }
  return fields
}
