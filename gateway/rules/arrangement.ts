/** The rules of a config in groups, with the keys that earlier ones knew. */
import type { Devices } from '../decode/devices.ts'
import { DecodeError } from '../errors.ts'
import type { WindowRecord } from '../record.ts'
import { ABSENT } from './condition.ts'
import type { RuleDefinition } from './definition.ts'
import { Group, type GroupHost, groupOf, READINGS } from './group.ts'
import type { Key, KeyState } from './key-state.ts'
import { loadKey, type SavedGroup, saveKey } from './snapshot.ts'

export class Arrangement {
  readonly definitions: readonly RuleDefinition[]
  readonly groups: readonly Group[]
  readonly onReadings: readonly Group[]
  readonly #onResults = new Map<string, Group[]>()
  readonly #devices: Devices

  constructor(definitions: readonly RuleDefinition[], devices: Devices, host: GroupHost) {
    const bySignature = new Map<string, RuleDefinition[]>()
    for (const rule of definitions) {
      const others = bySignature.get(groupOf(rule)) ?? []
      others.push(rule)
      bySignature.set(groupOf(rule), others)
    }
    this.definitions = definitions
    this.#devices = devices
    for (const device of devices.all()) if (device.judged) device.judged = undefined
    this.groups = [...bySignature].map(([signature, rules], i) => new Group(signature, rules, i, host))
    this.onReadings = this.groups.filter(({ on }) => on === READINGS)
    for (const group of this.groups) {
      if (group.on !== READINGS) this.#onResults.set(group.on, [...this.onResults(group.on), group])
    }
  }

  onResults(window: WindowRecord['window']): readonly Group[] {
    return this.#onResults.get(window) ?? []
  }

  save(): SavedGroup[] {
    return this.groups.map((group) => ({ signature: group.signature, keys: group.keys.all.map(saveKey) }))
  }

  /**
   * Takes over what was known.
   *
   * @param same whether a rule means what it meant
   * @param loaded is told of each key
   */
  load(
    saved: readonly SavedGroup[],
    same: (rule: RuleDefinition) => boolean,
    loaded: (group: Group, key: KeyState) => void,
  ): void {
    for (const group of this.groups) {
      const known = saved.find(({ signature }) => signature === group.signature)
      if (known) this.#load(group, known, same, loaded)
      this.#expect(group)
    }
  }

  #load(
    group: Group,
    saved: SavedGroup,
    same: (rule: RuleDefinition) => boolean,
    loaded: (group: Group, key: KeyState) => void,
  ): void {
    const rules = group.rules.filter(({ definition }) => same(definition))
    for (const one of saved.keys) {
      const key = this.#keyOf(group, one.key)
      if (!key) continue
      loadKey(key, one, rules)
      loaded(group, key)
    }
  }

  /** A device that a rule names is missed though it never came. */
  #expect(group: Group): void {
    for (const { definition, leaves } of group.rules) {
      const device = definition.where.device
      if (device === undefined || device.includes('*') || !group.keys.byDevice) continue
      if (leaves.some(({ kind }) => kind === ABSENT)) this.#keyOf(group, { device })
    }
  }

  #keyOf(group: Group, key: Key): KeyState | undefined {
    if (!group.keys.byDevice) return group.keys.find(key, undefined)
    try {
      return group.keys.find(key, this.#devices.get(key.device ?? ''))
    } catch (error) {
      if (error instanceof DecodeError) return undefined
      throw error
    }
  }
}
