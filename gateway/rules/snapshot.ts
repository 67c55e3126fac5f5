/** A key's state as plain JSON, by names of rules and fields: it fits into another arrangement of the same rules. */
import { type Active, createActive } from './active.ts'
import { ABSENT, type CompiledLeaf, type CompiledRule } from './condition.ts'
import type { Value } from './definition.ts'
import type { Seen } from './facts.ts'
import type { Key, KeyState } from './key-state.ts'
import { AT, MOVED, NUMBER } from './place.ts'

export interface SavedGroup {
  readonly signature: string
  readonly keys: readonly SavedKey[]
}

/** Numbers that are not there are null. */
export interface SavedKey {
  readonly key: Key
  readonly time: number | null
  readonly heard: number
  /** By field: last number, its event time and when it was heard of, as far as rules ask for it; last text. */
  readonly fields: Readonly<Record<string, readonly [number | null, number | null, number | null, string?]>>
  /** By rule: truth of its leaves, and what is raised. */
  readonly rules: Readonly<Record<string, readonly [string, SavedActive?]>>
}

/** `id` is empty while it is not raised. */
type SavedActive = Pick<Active, 'raised' | 'since' | 'sinceClock' | 'raisedAt' | 'said' | 'acknowledged' | 'silent'> & {
  readonly id: string
  readonly value?: Value
  readonly seen?: Seen
}

export function saveKey(state: KeyState): SavedKey {
  const fields: Record<string, readonly [number | null, number | null, number | null, string?]> = {}
  const { values, base } = state
  for (const field of state.profile.known()) {
    if (!state.holds(field)) continue
    const text = state.texts[state.textBase + field.slot]
    const number = finite(values[base + field.place + NUMBER])
    const time = field.rated < 0 ? null : finite(values[base + field.rated + AT])
    const heard = field.heard < 0 ? null : finite(values[base + field.heard])
    fields[field.name] = text === undefined ? [number, time, heard] : [number, time, heard, text]
  }
  const rules: Record<string, readonly [string, SavedActive?]> = {}
  const quiet = state.active === undefined && !state.truth.includes(1)
  for (const rule of quiet ? [] : state.profile.rules) {
    const active = state.activeOf(rule)
    if (!active && !anyTrue(rule, state.truth)) continue
    const truth = rule.leaves.map(({ index }) => state.truth[index]).join('')
    rules[rule.definition.name] = active ? [truth, saveActive(active)] : [truth]
  }
  return { key: state.key, time: finite(state.time), heard: state.heard, fields, rules }
}

function saveActive({
  raised,
  since,
  sinceClock,
  id,
  raisedAt,
  said,
  acknowledged,
  silent,
  value,
  seen,
}: Active): SavedActive {
  return {
    raised,
    since,
    sinceClock,
    id: id === 0 ? '' : `${id}`,
    raisedAt,
    said,
    acknowledged,
    silent,
    ...(value === undefined ? {} : { value }),
    ...(seen === undefined ? {} : { seen }),
  }
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
  const { values, base } = state
  for (const [name, [number, time, heard, text]] of Object.entries(saved.fields)) {
    const field = state.profile.field(name)
    if (!field) continue
    if (field.heard >= 0) values[base + field.heard] = heard ?? saved.heard
    values[base + field.place + MOVED] = 1
    if (!complete) continue
    values[base + field.place + NUMBER] = number ?? Number.NaN
    if (field.rated >= 0) values[base + field.rated + AT] = time ?? Number.NaN
    state.texts[state.textBase + field.slot] = text
  }
  for (const rule of state.profile.rules) {
    const known = rules.includes(rule) ? saved.rules[rule.definition.name] : undefined
    if (known) loadRule(state, rule, known)
  }
}

function loadRule(state: KeyState, rule: CompiledRule, [truth, saved]: readonly [string, SavedActive?]): void {
  rule.leaves.forEach(({ index, kind }, i) => {
    if (truth[i] !== '1') return
    state.truth[index] = 1
    if (kind === ABSENT) state.absent++
  })
  if (!saved) return
  state.begin(Object.assign(createActive(rule, state), saved, { id: Number(saved.id) }))
}

function finite(value: number | undefined): number | null {
  return value !== undefined && Number.isFinite(value) ? value : null
}
