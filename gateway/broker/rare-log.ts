/** Says what clients do wrong at a falling rate, whatever they do: see `complaint.ts`. */
import type { Clock } from '../clock.ts'
import { type Complaint, createComplaint } from '../complaint.ts'
import type { PluginLog } from '../plugin.ts'

export class RareLog {
  readonly #complaint: Complaint
  readonly #log: PluginLog

  constructor(clock: Clock, log: PluginLog) {
    this.#complaint = createComplaint(clock)
    this.#log = log
  }

  /** @param key what must not be said too often, e.g. reason and address */
  warn(key: string, fields: object, text: string): void {
    this.#complaint.raise(key, (again) => this.#log.warn(again > 0 ? { ...fields, times: again + 1 } : fields, text))
  }
}
