/**
 * Which fields a pane holds, and where. Like a reading's `Shape`, a layout is one object shared by all panes that saw
 * the same fields in the same order, so the way from a shape's fields to a layout's columns is worked out once, as a
 * `Plan`. A reading with a field that the pane has not seen moves the pane to a larger layout; columns stay in place.
 *
 *   block  header | row of the 1st numeric field | row of the 2nd …           (see panes.ts, statistics.ts)
 *   extra  texts[0], texts[1] …                                               one per text field
 */
import { NUMBER, type Shape } from '../reading.ts'
import { HEADER } from './pane-header.ts'

/** Fields per pane; further ones are left out and counted. Also what keeps a block within a chunk of the slab. */
export const MOST_FIELDS = 1024

/** Layouts and plans beyond this are swept: a sensor that invents field names cannot fill the memory. */
const MOST_LAYOUTS = 4096
const MOST_PLANS = 1024

export interface Plan {
  /** The layout that has a column for every field of the shape; moving to it comes first when it is not the pane's. */
  readonly layout: Layout
  /** Position in the reading, and word in the pane's block, of each numeric field. */
  readonly from: Int32Array
  readonly to: Int32Array
  /** Position in the reading and in the pane's texts of each text field. */
  readonly textFrom: Int32Array
  readonly textTo: Int32Array
  /** Fields left out for want of room. */
  readonly skipped: number
}

export interface Layout {
  readonly id: number
  readonly names: readonly string[]
  /** Per field: true when it is counted as text. */
  readonly text: readonly boolean[]
  /** Where a field stands among the numeric or among the text fields. */
  readonly columns: ReadonlyMap<string, number>
  readonly numbers: number
  readonly texts: number
  /** Panes that use it. */
  panes: number
  /** The plan used last, which is nearly always the one needed next. */
  lastShape: Shape | undefined
  lastPlan: Plan | undefined
  readonly plans: Map<Shape, Plan>
  readonly next: Map<string, Layout>
}

export type LayoutState = readonly [id: number, names: readonly string[], text: readonly boolean[]]

export class Layouts {
  /** By id; the first is the empty one. */
  readonly byId: Layout[] = []
  readonly #stride: number
  readonly #wanted: (name: string) => boolean
  #free: number[] = []
  #limit = MOST_LAYOUTS

  constructor(stride: number, wanted: (name: string) => boolean) {
    this.#stride = stride
    this.#wanted = wanted
    this.#create([], [])
  }

  planFor(layout: Layout, shape: Shape): Plan {
    const plan = layout.plans.get(shape) ?? this.#plan(layout, shape)
    layout.lastShape = shape
    layout.lastPlan = plan
    return plan
  }

  /** The layout with the fields of `other` added behind its own. */
  union(layout: Layout, other: Layout): Layout {
    if (layout === other) return layout
    const added = keysOf(other).filter((key) => !layout.columns.has(key))
    return this.#with(layout, added.slice(0, MOST_FIELDS - layout.names.length))
  }

  state(): LayoutState[] {
    return this.byId.filter((layout) => layout?.panes > 0).map(({ id, names, text }) => [id, names, text])
  }

  /** Panes are counted by whoever restores them. */
  restore(states: readonly LayoutState[]): void {
    for (const [id, names, text] of states) if (id > 0) this.byId[id] = layoutOf(id, names, text)
    this.#free = []
    for (let id = 1; id < this.byId.length; id++) if (!this.byId[id]) this.#free.push(id)
  }

  #plan(layout: Layout, shape: Shape): Plan {
    const positions: number[] = []
    const keys: string[] = []
    shape.names.forEach((name, i) => {
      if (!this.#wanted(name)) return
      positions.push(i)
      keys.push(keyOf(name, shape.kinds[i] !== NUMBER))
    })
    const added = keys.filter((key) => !layout.columns.has(key)).slice(0, MOST_FIELDS - layout.names.length)
    const target = this.#with(layout, added)
    const plan = planOf(target, positions, keys, this.#stride)
    if (layout.plans.size >= MOST_PLANS) layout.plans.clear()
    layout.plans.set(shape, plan)
    return plan
  }

  #with(layout: Layout, added: readonly string[]): Layout {
    if (added.length === 0) return layout
    const key = added.join('\0')
    const known = layout.next.get(key)
    if (known) return known
    if (this.byId.length - this.#free.length >= this.#limit) this.#sweep(layout)
    const names = [...layout.names, ...added.map((field) => field.slice(1))]
    const next = this.#create(names, [...layout.text, ...added.map((field) => field.startsWith(TEXT_KEY))])
    layout.next.set(key, next)
    return next
  }

  #create(names: readonly string[], text: readonly boolean[]): Layout {
    const id = this.#free.pop() ?? this.byId.length
    const layout = layoutOf(id, names, text)
    this.byId[id] = layout
    return layout
  }

  /** Forgets the ways between layouts, and the layouts without a pane. Those with panes stay where they are. */
  #sweep(inUse: Layout): void {
    let live = 0
    for (const layout of this.byId) {
      if (!layout) continue
      layout.next.clear()
      layout.plans.clear()
      layout.lastShape = undefined
      layout.lastPlan = undefined
      if (layout.panes > 0 || layout.id === 0 || layout === inUse) live++
      else {
        delete this.byId[layout.id]
        this.#free.push(layout.id)
      }
    }
    this.#limit = Math.max(MOST_LAYOUTS, 2 * live)
  }
}

const TEXT_KEY = 't'
const NUMBER_KEY = 'n'

/** One text for a field's name and whether it is counted as text: a name may come as both. */
function keyOf(name: string, text: boolean): string {
  return (text ? TEXT_KEY : NUMBER_KEY) + name
}

function keysOf(layout: Layout): string[] {
  return layout.names.map((name, i) => keyOf(name, layout.text[i] as boolean))
}

function planOf(layout: Layout, positions: readonly number[], keys: readonly string[], stride: number): Plan {
  const numbers: [number, number][] = []
  const texts: [number, number][] = []
  let skipped = 0
  keys.forEach((key, i) => {
    const column = layout.columns.get(key)
    const position = positions[i] as number
    if (column === undefined) skipped++
    else if (key.startsWith(TEXT_KEY)) texts.push([position, column])
    else numbers.push([position, HEADER + column * stride])
  })
  return {
    layout,
    from: Int32Array.from(numbers, ([from]) => from),
    to: Int32Array.from(numbers, ([, to]) => to),
    textFrom: Int32Array.from(texts, ([from]) => from),
    textTo: Int32Array.from(texts, ([, to]) => to),
    skipped,
  }
}

function layoutOf(id: number, names: readonly string[], text: readonly boolean[]): Layout {
  const columns = new Map<string, number>()
  let numbers = 0
  let texts = 0
  names.forEach((name, i) => {
    columns.set(keyOf(name, text[i] as boolean), text[i] ? texts++ : numbers++)
  })
  return {
    id,
    names,
    text,
    columns,
    numbers,
    texts,
    panes: 0,
    lastShape: undefined,
    lastPlan: undefined,
    plans: new Map(),
    next: new Map(),
  }
}
