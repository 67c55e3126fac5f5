/** A rule stage over a journal that is an array, fed with readings of a virtual clock. */
import { rulesSection } from '../../gateway/config/sections/rules.ts'
import { createDevices } from '../../gateway/decode/devices.ts'
import { BOOLEAN, createReading, createShapes, NUMBER, TEXT } from '../../gateway/reading.ts'
import type { AlertRecord, WindowRecord } from '../../gateway/record.ts'
import { definitionsOf, type RuleDefinition } from '../../gateway/rules/definition.ts'
import { RuleStage } from '../../gateway/rules/stage.ts'

export const BEGIN = Date.UTC(2026, 10, 23)

/** A section of the config as a person writes it. */
export function rulesOf(written: object): RuleDefinition[] {
  return definitionsOf(rulesSection.parse(written))
}

export class RuleBench {
  readonly devices = createDevices()
  readonly shapes = createShapes()
  readonly alerts: AlertRecord[] = []
  readonly orders: { by: string; order: object }[] = []
  readonly published: { topic: string; payload: unknown }[] = []
  readonly stage: RuleStage
  /** All that would be in the journal; each runs again on another bench. */
  readonly journal: ((bench: RuleBench, live: boolean) => void)[] = []
  now = 0

  constructor() {
    this.stage = new RuleStage({
      devices: this.devices,
      order: (by, order) => this.orders.push({ by, order }),
      publish: (topic, payload) => this.published.push({ topic, payload: JSON.parse(payload.toString()) }),
    })
    this.stage.attach({ append: (_, record) => this.alerts.push(record) })
  }

  define(written: object): this {
    for (const fact of this.stage.starting(rulesOf(written), BEGIN + this.now)) this.fact(fact)
    return this
  }

  fact(fact: object): void {
    const text = JSON.stringify(fact)
    this.#do((bench, live) => bench.stage.fact('rules', JSON.parse(text), 0, live))
  }

  reading(device: string, fields: object, more: object = {}): void {
    const { now } = this
    this.#do((bench, live) => {
      const entries = Object.entries(fields)
      const kind = (value: unknown) =>
        typeof value === 'number' ? NUMBER : typeof value === 'boolean' ? BOOLEAN : TEXT
      const shape = entries.reduce((before, [name, value]) => before.with(name, kind(value)), bench.shapes)
      const reading = createReading(bench.devices.get(device), shape)
      Object.assign(reading, { source: 'mqtt', time: BEGIN + now, received: BEGIN + now, ...more })
      entries.forEach(([, value], i) => {
        if (typeof value === 'string') reading.texts[i] = value
        else reading.numbers[i] = Number(value)
      })
      bench.stage.reading(reading, 0, live)
    })
  }

  result(record: Partial<WindowRecord>): void {
    const end = new Date(BEGIN + this.now).toISOString()
    const whole = { kind: 'window', window: 'w', key: {}, start: end, end, count: 1, fields: {}, ...record } as const
    this.#do((bench, live) => bench.stage.result(whole, undefined, 0, live))
  }

  /** Moves the clock on, with ticks as the gateway would make them. */
  async pass(ms: number): Promise<void> {
    const until = this.now + ms
    while (this.now < until) {
      this.now = Math.min(until, this.now + 1000)
      const fact = this.stage.due(BEGIN + this.now, this.now)
      if (fact) this.fact(fact)
    }
  }

  /** `raised d1`, `cleared d1` … since the last call. */
  said(): string[] {
    return this.alerts.splice(0).map(({ state, key }) => [state, ...Object.values(key)].join(' '))
  }

  #do(step: (bench: RuleBench, live: boolean) => void): void {
    this.journal.push(step)
    step(this, true)
  }
}
