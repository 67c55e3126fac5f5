/** The keys of a group, each with the rules that concern it. */
import type { Device, Reading } from '../reading.ts'
import { TEXT } from '../reading.ts'
import { type CompiledRule, pattern } from './condition.ts'
import { type Key, KeyRoom, KeyState } from './key-state.ts'
import { Profile } from './profile.ts'

export type Matcher = readonly [part: string, matches: (value: string | undefined) => boolean]

/** Rules that are only for some keys: asked once per key. */
interface Scope {
  readonly matchers: readonly Matcher[]
  readonly rules: Set<CompiledRule>
}

export interface KeysOptions {
  readonly rules: readonly CompiledRule[]
  /** Leaves of all rules. */
  readonly leaves: number
  /** The parts of a reading that make its key. */
  readonly by: readonly string[]
  /** What a part of `where` is for: the key, or each reading. */
  readonly inKey: (part: string) => boolean
  /** Where devices keep their key of this group; see `Device.judged`. */
  readonly place: number
  /** The rules' clock, ms. */
  readonly clock: () => number
  readonly created: (key: KeyState) => void
}

const MAX_KEYS = 100_000
const SEPARATOR = '\u0000'

export class Keys {
  /** In the order of creation. */
  readonly all: KeyState[] = []
  /** Keys that found no room. */
  refused = 0
  /** A key is a device. */
  readonly byDevice: boolean
  readonly #options: KeysOptions
  readonly #scopes: readonly Scope[]
  readonly #profiles = new Map<string, Profile>()
  readonly #byText = new Map<string, KeyState>()
  readonly #room = new KeyRoom()

  constructor(options: KeysOptions) {
    this.#options = options
    this.byDevice = options.by.length === 1 && options.by[0] === 'device'
    this.#scopes = scopesOf(options)
  }

  /** Undefined when there is no room. */
  of(reading: Reading): KeyState | undefined {
    if (!this.byDevice) return this.#ofParts(reading)
    const known = reading.device.judged?.[this.#options.place] as KeyState | undefined
    return known ?? this.#ofDevice(reading.device)
  }

  /** The key of that name, new when there is none; undefined when there is no room. */
  find(key: Key, device: Device | undefined): KeyState | undefined {
    if (this.byDevice && device)
      return (device.judged?.[this.#options.place] as KeyState | undefined) ?? this.#ofDevice(device)
    return this.#ofText(Object.values(key).join(SEPARATOR), () => key)
  }

  #ofDevice(device: Device): KeyState | undefined {
    const state = this.#create({ device: device.id })
    if (!state) return undefined
    device.judged ??= []
    device.judged[this.#options.place] = state
    return state
  }

  #ofParts(reading: Reading): KeyState | undefined {
    const { by } = this.#options
    let text = ''
    for (let i = 0; i < by.length; i++) text += (i > 0 ? SEPARATOR : '') + (partOf(reading, by[i] as string) ?? '')
    return this.#ofText(text, () => Object.fromEntries(by.map((part) => [part, partOf(reading, part) ?? ''])))
  }

  #ofText(text: string, key: () => Key): KeyState | undefined {
    const known = this.#byText.get(text)
    if (known) return known
    const state = this.#create(key())
    if (state) this.#byText.set(text, state)
    return state
  }

  #create(key: Key): KeyState | undefined {
    if (this.all.length >= MAX_KEYS) {
      this.refused++
      return undefined
    }
    const { leaves, clock, created } = this.#options
    const state = new KeyState(key, this.#profileOf(key), this.all.length, leaves, clock(), this.#room)
    this.all.push(state)
    created(state)
    return state
  }

  #profileOf(key: Key): Profile {
    let signature = ''
    this.#scopes.forEach(({ matchers }, i) => {
      if (matchers.every(([part, matches]) => matches(key[part]))) signature += `${i} `
    })
    const known = this.#profiles.get(signature)
    if (known) return known
    const left = new Set(this.#options.rules)
    const concerned = new Set(signature.split(' '))
    this.#scopes.forEach(({ rules }, i) => {
      if (!concerned.has(`${i}`)) for (const rule of rules) left.delete(rule)
    })
    const profile = new Profile([...left])
    this.#profiles.set(signature, profile)
    return profile
  }
}

export function matchersOf(where: Readonly<Record<string, string>>, wanted: (part: string) => boolean): Matcher[] {
  return Object.entries(where).flatMap(([part, text]) => (wanted(part) ? [[part, pattern(text)] as const] : []))
}

export function partOf(reading: Reading, part: string): string | undefined {
  if (part === 'device') return reading.device.id
  if (part === 'stream') return reading.stream
  if (part === 'source') return reading.source
  const tag = reading.tags[part]
  if (tag !== undefined) return tag
  const at = reading.shape.indexOf(part)
  return at >= 0 && reading.shape.kinds[at] === TEXT ? reading.texts[at] : undefined
}

/** Rules with equal scopes share one, since each is asked for each new key. */
function scopesOf({ rules, inKey }: KeysOptions): Scope[] {
  const scopes = new Map<string, Scope>()
  for (const rule of rules) {
    const { where } = rule.definition
    const matchers = matchersOf(where, inKey)
    if (matchers.length === 0) continue
    const text = JSON.stringify(Object.entries(where).filter(([part]) => inKey(part)))
    const scope = scopes.get(text) ?? { matchers, rules: new Set<CompiledRule>() }
    scope.rules.add(rule)
    scopes.set(text, scope)
  }
  return [...scopes.values()]
}
