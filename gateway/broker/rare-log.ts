/** Says a thing at once, then at a falling rate: after 1, 2, 4 … 64 minutes, with how often it happened meanwhile. */
import type { Clock } from '../clock.ts'
import type { PluginLog } from '../plugin.ts'

const FIRST_PAUSE = 60_000
const LONGEST_PAUSE = 64 * 60_000
const MAX_KEYS = 1_000

interface Said {
  next: number
  pause: number
  silent: number
}

export class RareLog {
  readonly #said = new Map<string, Said>()
  readonly #clock: Clock
  readonly #log: PluginLog

  constructor(clock: Clock, log: PluginLog) {
    this.#clock = clock
    this.#log = log
  }

  /** @param key what must not be said too often, e.g. reason and address */
  warn(key: string, fields: object, text: string): void {
    const now = this.#clock.monotonic()
    const said = this.#said.get(key)
    if (said && now < said.next) {
      said.silent++
      return
    }
    const pause = said ? Math.min(said.pause * 2, LONGEST_PAUSE) : FIRST_PAUSE
    this.#log.warn(said && said.silent > 0 ? { ...fields, times: said.silent + 1 } : fields, text)
    this.#said.delete(key)
    if (this.#said.size >= MAX_KEYS) this.#said.delete(this.#said.keys().next().value ?? '')
    this.#said.set(key, { next: now + pause, pause, silent: 0 })
  }
}
