/**
 * Tags objects are shared: two readings with the same tags have the same frozen object, so that whoever groups by
 * tags compares one pointer. They are the nodes of a tree, one branch per added tag or looked-up row.
 *
 *   set ──{type}=station──▶ ──postcode=2000──▶ ──row of the table──▶
 */
import { NO_TAGS, type Tags } from '../reading.ts'

export interface TagNode {
  readonly tags: Tags
  /** These tags and one more. `index` names the branch: always the same index for the same name. */
  add(index: number, name: string, value: string): TagNode
  /** These tags and columns of a table's row. A row is known by its object: a table loaded anew has new ones. */
  join(index: number, row: Tags, columns: readonly string[]): TagNode
}

interface Budget {
  left: number
}

class Node implements TagNode {
  readonly tags: Tags
  readonly #values: (Map<string, Node> | undefined)[] = []
  readonly #rows: (WeakMap<Tags, Node> | undefined)[] = []
  readonly #budget: Budget

  constructor(tags: Tags, budget: Budget) {
    this.tags = tags
    this.#budget = budget
  }

  add(index: number, name: string, value: string): Node {
    const known = this.#values[index]?.get(value)
    if (known) return known
    const node = new Node(Object.freeze({ ...this.tags, [name]: value }), this.#budget)
    // Beyond the budget the objects are right, only not shared: a tag with a new value each time fills no memory.
    if (this.#budget.left-- > 0) {
      const values = this.#values[index] ?? new Map<string, Node>()
      this.#values[index] = values.set(value, node)
    }
    return node
  }

  join(index: number, row: Tags, columns: readonly string[]): Node {
    const known = this.#rows[index]?.get(row)
    if (known) return known
    const added = columns.flatMap((column) => (Object.hasOwn(row, column) ? [[column, row[column]]] : []))
    const node = new Node(Object.freeze({ ...this.tags, ...Object.fromEntries(added) }), this.#budget)
    if (this.#budget.left-- > 0) {
      const rows = this.#rows[index] ?? new WeakMap<Tags, Node>()
      this.#rows[index] = rows.set(row, node)
    }
    return node
  }
}

/** @param limit how many sets of tags are shared */
export function createTagTree(limit = 50_000): TagNode {
  return new Node(NO_TAGS, { left: limit })
}
