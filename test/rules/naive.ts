/** Rules judged one by one and each in the plainest way: what the stage must give, whatever it saves itself. */
import type { Condition, Leaf, Rate, RuleDefinition, Value } from '../../gateway/rules/definition.ts'

export interface Given {
  readonly key: Readonly<Record<string, string>>
  readonly fields: Readonly<Record<string, Value>>
  /** Event time and the rules' clock, ms. */
  readonly time: number
  readonly now: number
}

interface LeafState {
  truth: boolean
  last: { readonly value: number | string; readonly time: number } | undefined
  /** Only of absences. */
  heard: number
}

/** One rule and one key. */
class Judgement {
  readonly #rule: RuleDefinition
  readonly #leaves = new Map<Condition, LeafState>()
  #since: { readonly time: number; readonly now: number } | undefined
  #raised = false
  #newest = Number.NEGATIVE_INFINITY
  readonly #tell: (state: string, time: number) => void

  constructor(rule: RuleDefinition, now: number, tell: (state: string, time: number) => void) {
    this.#rule = rule
    this.#tell = tell
    const visit = (condition: Condition): void => {
      if ('and' in condition) condition.and.forEach(visit)
      else if ('or' in condition) condition.or.forEach(visit)
      else if ('not' in condition) visit(condition.not)
      else this.#leaves.set(condition, { truth: false, last: undefined, heard: now })
    }
    visit(rule.when)
    if (rule.clear) visit(rule.clear)
  }

  reading({ fields, time, now }: Given): void {
    const late = time < this.#newest && !this.#rule.late
    this.#newest = Math.max(this.#newest, time)
    this.#change(time, now, (leaf, state) => {
      if ('absent' in leaf && leaf.field === undefined) Object.assign(state, { heard: now, truth: false })
      const given = leaf.field === undefined || late ? undefined : fields[leaf.field]
      if (given === undefined) return
      const value = typeof given === 'boolean' ? Number(given) : given
      state.truth = see(leaf, state, value, time)
      state.last = { value, time }
      state.heard = now
    })
    if (this.#since && !this.#raised && time - this.#since.time >= this.#rule.for) this.#raise(time)
  }

  tick(now: number): void {
    this.#change(now, now, (leaf, state) => {
      if ('absent' in leaf && state.heard + leaf.absent <= now) state.truth = true
    })
    if (this.#since && !this.#raised && this.#since.now + this.#rule.for <= now) this.#raise(now)
  }

  #change(time: number, now: number, each: (leaf: Leaf, state: LeafState) => void): void {
    let changed = false
    for (const [leaf, state] of this.#leaves) {
      const { truth } = state
      each(leaf as Leaf, state)
      changed ||= state.truth !== truth
    }
    if (!changed) return
    const { when, clear } = this.#rule
    const holds = this.#holds(when)
    if (!this.#since) {
      if (!holds) return
      this.#since = { time, now }
      if (this.#rule.for === 0) this.#raise(time)
    } else if (!this.#raised) {
      if (!holds) this.#since = undefined
    } else if (clear ? this.#holds(clear) : !holds) {
      this.#since = undefined
      this.#raised = false
      this.#tell('cleared', time)
    }
  }

  #raise(time: number): void {
    this.#raised = true
    this.#tell('raised', time)
  }

  #holds(condition: Condition): boolean {
    if ('and' in condition) return condition.and.every((part) => this.#holds(part))
    if ('or' in condition) return condition.or.some((part) => this.#holds(part))
    if ('not' in condition) return !this.#holds(condition.not)
    return this.#leaves.get(condition)?.truth ?? false
  }
}

function see(leaf: Leaf, { truth, last }: LeafState, value: number | string, time: number): boolean {
  const same = (wanted: Value) => (typeof wanted === 'boolean' ? Number(wanted) : wanted) === value
  if ('absent' in leaf) return false
  if ('equals' in leaf) return same(leaf.equals)
  if ('oneOf' in leaf) return leaf.oneOf.some(same)
  if ('changes' in leaf) {
    if (last === undefined || last.value === value) return false
    if (leaf.changes === true) return true
    const { from, to } = leaf.changes
    return (from === undefined || from === last.value) && (to === undefined || same(to))
  }
  if (typeof value === 'string') return false
  if ('rate' in leaf) return seeRate(leaf.rate, { truth, last }, value, time)
  const by = truth ? (leaf.hysteresis ?? 0) : 0
  const { above = Number.NEGATIVE_INFINITY, below = Number.POSITIVE_INFINITY, between, outside } = leaf
  if (between) return value >= (between[0] ?? 0) - by && value <= (between[1] ?? 0) + by
  if (outside) return value < (outside[0] ?? 0) + by || value > (outside[1] ?? 0) - by
  return value > above - by && value < below + by
}

function seeRate(
  wanted: Rate,
  { truth, last }: Pick<LeafState, 'truth' | 'last'>,
  value: number,
  time: number,
): boolean {
  if (last === undefined || time <= last.time) return truth
  const rate = (value - (last.value as number)) / (time - last.time)
  const { above = Number.POSITIVE_INFINITY, below = Number.NEGATIVE_INFINITY, per } = wanted
  return rate > above / per || rate < below / per
}

export class NaiveRules {
  readonly #rules: readonly RuleDefinition[]
  readonly #judgements = new Map<string, Judgement>()
  /** What was said since somebody looked: `rule state key time`. */
  said: string[] = []

  constructor(rules: readonly RuleDefinition[]) {
    this.#rules = rules
  }

  reading(given: Given): void {
    for (const rule of this.#rules) {
      const key = rule.by.map((part) => given.key[part] ?? '').join(' ')
      const device = given.key.device ?? ''
      if (rule.where.device !== undefined && !device.startsWith(rule.where.device.slice(0, -1))) continue
      const name = `${rule.name} ${key}`
      let judgement = this.#judgements.get(name)
      if (!judgement) {
        judgement = new Judgement(rule, given.now, (state, time) =>
          this.said.push(`${rule.name} ${state} ${key} ${time}`),
        )
        this.#judgements.set(name, judgement)
      }
      judgement.reading(given)
    }
  }

  tick(now: number): void {
    for (const judgement of this.#judgements.values()) judgement.tick(now)
  }
}
