/** How long the stages of the flow take. Looking at the clock for every message would cost more than some stages do. */
import { createLatency, observe } from './http/latency.ts'

/** One message in so many is timed. */
const SAMPLE = 64

export class StageTimes {
  /** What a stage took for a message or a reading. */
  readonly latencies = { decode: createLatency(), window: createLatency(), rules: createLatency() }
  /** The message that is being processed is timed. */
  timed = false
  readonly #monotonic: () => number
  readonly #never: boolean
  #untimed = 0
  #began = 0
  /** Of the time that is being taken, what later stages took, ms. */
  #inStages = 0

  /** @param monotonic ms; without it nothing is timed */
  constructor(monotonic: (() => number) | undefined) {
    this.#monotonic = monotonic ?? (() => 0)
    this.#never = monotonic === undefined
  }

  begin(): void {
    if (this.#never) return
    this.timed = ++this.#untimed >= SAMPLE
    if (!this.timed) return
    this.#untimed = 0
    this.#inStages = 0
    this.#began = this.#monotonic()
  }

  end(): void {
    this.timed = false
    observe(this.latencies.decode, this.#monotonic() - this.#began - this.#inStages)
  }

  /** One reading of a message that is timed. */
  reading(windows: () => void, rules: () => void): void {
    const start = this.#monotonic()
    windows()
    const counted = this.#monotonic()
    rules()
    const end = this.#monotonic()
    observe(this.latencies.window, counted - start)
    observe(this.latencies.rules, end - counted)
    this.#inStages += end - start
  }
}
