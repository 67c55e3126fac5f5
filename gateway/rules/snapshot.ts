/** A key's state as plain JSON, by names of rules and fields: it fits into another arrangement of the same rules. */
import { ABSENT, type CompiledLeaf, type CompiledRule } from './condition.ts'
import { type Active, HEARD, type Key, type KeyState, MOVED, NUMBER, STRIDE, TIME } from './key-state.ts'

export interface SavedGroup {
  readonly signature: string
  readonly keys: readonly SavedKey[]
}

/** Numbers that are not there are null. */
export interface SavedKey {
  readonly key: Key
  readonly time: number | null
  readonly heard: number
  /** By field: last number, its event time, when it was heard of, last text. */
  readonly fields: Readonly<Record<string, readonly [number | null, number | null, number | null, string?]>>
  /** By rule: truth of its leaves, and what is raised. */
  readonly rules: Readonly<Record<string, readonly [string, Active?]>>
}

export function saveKey(state: KeyState): SavedKey {
  const fields: Record<string, readonly [number | null, number | null, number | null, string?]> = {}
  for (const { name, slot } of state.profile.known()) {
    const place = slot * STRIDE
    if (place >= state.values.length) continue
    const text = state.texts[slot]
    const numbers = [NUMBER, TIME, HEARD].map((at) => finite(state.values[place + at])) as [
      number | null,
      number | null,
      number | null,
    ]
    fields[name] = text === undefined ? numbers : [...numbers, text]
  }
  const rules: Record<string, readonly [string, Active?]> = {}
  const quiet = state.active.size === 0 && !state.truth.includes(1)
  for (const rule of quiet ? [] : state.profile.rules) {
    const active = state.active.get(rule)
    if (!active && !anyTrue(rule, state.truth)) continue
    const truth = rule.leaves.map(({ index }) => state.truth[index]).join('')
    rules[rule.definition.name] = active ? [truth, { ...active }] : [truth]
  }
  return { key: state.key, time: finite(state.time), heard: state.heard, fields, rules }
}

function anyTrue({ leaves }: CompiledRule, truth: Uint8Array): boolean {
  for (let i = 0; i < leaves.length; i++) if (truth[(leaves[i] as CompiledLeaf).index] === 1) return true
  return false
}

/** @param rules those that mean what they meant */
export function loadKey(state: KeyState, saved: SavedKey, rules: readonly CompiledRule[]): void {
  state.time = saved.time ?? Number.NEGATIVE_INFINITY
  state.heard = saved.heard
  for (const name of Object.keys(saved.fields)) state.profile.field(name)
  state.grow()
  // A new rule must see each value anew: only with all rules as they were is the last value one that they have seen.
  const complete = state.profile.rules.every((rule) => rules.includes(rule))
  for (const [name, [number, time, heard, text]] of Object.entries(saved.fields)) {
    const slot = state.profile.field(name)?.slot
    if (slot === undefined) continue
    const place = slot * STRIDE
    state.values[place + HEARD] = heard ?? saved.heard
    state.values[place + MOVED] = 1
    if (!complete) continue
    state.values[place + NUMBER] = number ?? Number.NaN
    state.values[place + TIME] = time ?? Number.NaN
    state.texts[slot] = text
  }
  for (const rule of state.profile.rules) {
    const known = rules.includes(rule) ? saved.rules[rule.definition.name] : undefined
    if (known) loadRule(state, rule, known)
  }
}

function loadRule(state: KeyState, rule: CompiledRule, [truth, active]: readonly [string, Active?]): void {
  rule.leaves.forEach(({ index, kind }, i) => {
    if (truth[i] !== '1') return
    state.truth[index] = 1
    if (kind === ABSENT) state.absent++
  })
  if (!active) return
  state.active.set(rule, { ...active })
  if (!active.raised) state.pending++
}

function finite(value: number | undefined): number | null {
  return value !== undefined && Number.isFinite(value) ? value : null
}
