/**
 * Conditions, compiled once. The leaves of all conditions of a group are numbered; a key's truth is one byte per leaf.
 * A condition is a function of these bytes.
 *
 * A leaf on numbers can only change its truth when the value passes one of its edges. So a field's edges, sorted, say
 * which leaves a step from one value to another concerns, and between which values nothing can change:
 *
 *       edges      20        30  35              80
 *   ───────────────┼─────────┼───┼───────────────┼──────────▶ value
 *                                  51 ──▶ 60: no edge passed, nothing to do, for however many rules
 */
import type { Condition, Leaf, RuleDefinition, Value } from './definition.ts'

export const RANGE = 0
export const EQUALS = 1
export const CHANGE = 2
export const RATE = 3
export const ABSENT = 4

export interface CompiledLeaf {
  /** Position in a key's truth. */
  readonly index: number
  /** Position of its rule in the group. */
  readonly rule: number
  readonly kind: number
  /** Undefined only for absence of anything. */
  readonly field: string | undefined
  /** Values at which a number can change its truth; of RATE, rates per ms. */
  readonly edges: readonly number[]
  /** Of RATE, of the rate per ms. */
  readonly ofNumber: (value: number, was: boolean) => boolean
  readonly ofText: (value: string) => boolean
  /** Texts for which it is true. */
  readonly texts: readonly string[]
  /** Only CHANGE. */
  readonly ofChange: (from: Value, to: Value) => boolean
  /** Only ABSENT: how long, ms. */
  readonly duration: number
}

export type Truth = (truth: Uint8Array) => boolean

export interface CompiledRule {
  readonly definition: RuleDefinition
  readonly index: number
  readonly when: Truth
  readonly clear: Truth | undefined
  readonly leaves: readonly CompiledLeaf[]
  /** The field whose value an alert shows. */
  readonly shows: string | undefined
  /** It raises alerts: not all rules do. */
  readonly alerts: boolean
}

const never = () => false

/** @param firstLeaf number of the rule's first leaf in its group */
export function compileRule(definition: RuleDefinition, index: number, firstLeaf: number): CompiledRule {
  const leaves: CompiledLeaf[] = []
  const leaf = (of: Leaf): Truth => {
    const at = firstLeaf + leaves.length
    leaves.push({ index: at, rule: index, ...compileLeaf(of) })
    return (truth) => truth[at] === 1
  }
  const compile = (condition: Condition): Truth => {
    if ('and' in condition) {
      const parts = condition.and.map(compile)
      return (truth) => parts.every((part) => part(truth))
    }
    if ('or' in condition) {
      const parts = condition.or.map(compile)
      return (truth) => parts.some((part) => part(truth))
    }
    if ('not' in condition) {
      const part = compile(condition.not)
      return (truth) => !part(truth)
    }
    return leaf(condition)
  }
  const when = compile(definition.when)
  const shows = leaves.find(({ field }) => field !== undefined)?.field
  const clear = definition.clear && compile(definition.clear)
  const alerts = definition.effects.some((effect) => 'alert' in effect)
  return { definition, index, when, clear, leaves, shows, alerts }
}

type LeafParts = Omit<CompiledLeaf, 'index' | 'rule'>

function compileLeaf(leaf: Leaf): LeafParts {
  const none: LeafParts = {
    kind: RANGE,
    field: leaf.field,
    edges: [],
    ofNumber: never,
    ofText: never,
    texts: [],
    ofChange: never,
    duration: 0,
  }
  if ('absent' in leaf) return { ...none, kind: ABSENT, duration: leaf.absent }
  if ('changes' in leaf) return { ...none, kind: CHANGE, ofChange: changeTest(leaf.changes) }
  if ('rate' in leaf) {
    const { above, below, per } = leaf.rate
    const most = above === undefined ? Number.POSITIVE_INFINITY : above / per
    const least = below === undefined ? Number.NEGATIVE_INFINITY : below / per
    const edges = [most, least].filter(Number.isFinite)
    return { ...none, kind: RATE, edges, ofNumber: (rate) => rate > most || rate < least }
  }
  if ('equals' in leaf) return { ...none, ...equalsTest([leaf.equals]) }
  if ('oneOf' in leaf) return { ...none, ...equalsTest(leaf.oneOf) }
  const { above, below, between, outside, hysteresis = 0 } = leaf
  if (outside) {
    const [a = 0, b = 0] = outside
    const edges = [a, b, a + hysteresis, b - hysteresis]
    return { ...none, edges, ofNumber: (v, was) => (was ? v < a + hysteresis || v > b - hysteresis : v < a || v > b) }
  }
  if (between) {
    const [a = 0, b = 0] = between
    const edges = [a, b, a - hysteresis, b + hysteresis]
    return {
      ...none,
      edges,
      ofNumber: (v, was) => (was ? v >= a - hysteresis && v <= b + hysteresis : v >= a && v <= b),
    }
  }
  const edges: number[] = []
  if (above !== undefined) edges.push(above, above - hysteresis)
  if (below !== undefined) edges.push(below, below + hysteresis)
  const ofNumber = (v: number, was: boolean) => {
    const by = was ? hysteresis : 0
    return (above === undefined || v > above - by) && (below === undefined || v < below + by)
  }
  return { ...none, edges, ofNumber }
}

function equalsTest(values: readonly Value[]): Partial<LeafParts> {
  const numbers = new Set(values.filter((value) => typeof value !== 'string').map(Number))
  const texts = new Set(values.filter((value) => typeof value === 'string'))
  return {
    kind: EQUALS,
    edges: [...numbers],
    texts: [...texts],
    ofNumber: (v) => numbers.has(v),
    ofText: (v) => texts.has(v),
  }
}

function changeTest(changes: true | { readonly from?: Value; readonly to?: Value }) {
  if (changes === true) return (from: Value, to: Value) => from !== to
  const { from: wantedFrom, to: wantedTo } = changes
  return (from: Value, to: Value) =>
    from !== to &&
    (wantedFrom === undefined || comparable(wantedFrom) === from) &&
    (wantedTo === undefined || comparable(wantedTo) === to)
}

/** Booleans are 0 and 1 in a reading. */
function comparable(value: Value): Value {
  return typeof value === 'boolean' ? Number(value) : value
}

/** `*` stands for anything. */
export function pattern(text: string): (value: string | undefined) => boolean {
  const parts = text.split('*')
  const [head = '', tail] = parts
  if (tail === undefined) return (value) => value === text
  // Each new key is asked for each pattern, and nearly all have one star.
  if (parts.length === 2) {
    const least = text.length - 1
    return (value) => value !== undefined && value.length >= least && value.startsWith(head) && value.endsWith(tail)
  }
  const expression = new RegExp(`^${parts.map((part) => part.replace(/[\\^$.|?+()[\]{}]/g, '\\$&')).join('.*')}$`, 's')
  return (value) => value !== undefined && expression.test(value)
}
