/** Bounds how many alerts a rule raises per minute of the rules' clock; the rest is counted, and told once. */
import type { RuleDefinition } from './definition.ts'

interface Storm {
  minute: number
  raised: number
  suppressed: number
}

export type SavedStorms = readonly (readonly [string, Storm])[]

const MINUTE = 60_000

export class Storms {
  readonly #byRule = new Map<string, Storm>()
  readonly #tell: (rule: string, suppressed: number) => void

  /** @param tell that the minute is over in which so many alerts were one too many */
  constructor(tell: (rule: string, suppressed: number) => void) {
    this.#tell = tell
  }

  /** Whether one more is one too many. @param clock ms */
  admit({ name, maxPerMinute }: RuleDefinition, clock: number): boolean {
    const minute = Math.floor(clock / MINUTE)
    const storm = this.#byRule.get(name) ?? { minute, raised: 0, suppressed: 0 }
    this.#byRule.set(name, storm)
    if (storm.minute < minute) this.#over(name, storm, minute)
    if (storm.raised < maxPerMinute) {
      storm.raised++
      return true
    }
    storm.suppressed++
    return false
  }

  /** Whether a storm is over and not yet told of. */
  due(clock: number): boolean {
    const minute = Math.floor(clock / MINUTE)
    for (const storm of this.#byRule.values()) if (storm.suppressed > 0 && storm.minute < minute) return true
    return false
  }

  /** Tells of those that are over. */
  settle(clock: number): void {
    const minute = Math.floor(clock / MINUTE)
    for (const [name, storm] of this.#byRule) if (storm.minute < minute) this.#over(name, storm, minute)
  }

  state(): SavedStorms {
    return [...this.#byRule].map(([name, storm]) => [name, { ...storm }])
  }

  restore(saved: SavedStorms): void {
    for (const [name, storm] of saved) this.#byRule.set(name, { ...storm })
  }

  #over(name: string, storm: Storm, minute: number): void {
    const { suppressed } = storm
    Object.assign(storm, { minute, raised: 0, suppressed: 0 })
    if (suppressed > 0) this.#tell(name, suppressed)
  }
}
