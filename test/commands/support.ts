/** A command stage over a journal that is an array, and a device that does what the test says. */

import type { CommandDeclaration, CommandOptions } from '../../gateway/commands/checks.ts'
import type { CommandFact } from '../../gateway/commands/command.ts'
import { CommandStage, type Submitted } from '../../gateway/commands/stage.ts'
import type { Transport } from '../../gateway/commands/transport.ts'
import type { Command, CommandResult } from '../../gateway/plugin.ts'
import type { CommandRecord } from '../../gateway/record.ts'
import { FakeClock } from '../support/clock.ts'

export const NO_LOG = { debug() {}, info() {}, warn() {}, error() {} }

export interface Bench {
  readonly clock: FakeClock
  readonly stage: CommandStage
  readonly facts: CommandFact[]
  readonly records: CommandRecord[]
  readonly sent: Command[]
  /** What the journal holds and is on disk; facts after it are lost in a crash. */
  durable: number
  autoDurable: boolean
  roomy: boolean
  online: boolean
  execute: (command: Command) => Promise<CommandResult | undefined>
  appear(): void
  commit(): void
  /** States of one command, in order. */
  states(id: string): string[]
}

export interface BenchOptions {
  readonly options?: Partial<CommandOptions>
  readonly declared?: Readonly<Record<string, CommandDeclaration>>
  readonly values?: Readonly<Record<string, number | string | boolean>>
  readonly clock?: FakeClock
  /** Facts of an earlier life. */
  readonly replay?: readonly CommandFact[]
  readonly state?: unknown
  readonly offline?: boolean
  /** What the transport says that commands wait for. */
  readonly waiting?: string
}

const OPTIONS: CommandOptions = { deadline: 30_000, retry: { attempts: 1, after: 5000 }, maxOpen: 100 }

export function createBench(given: BenchOptions = {}): Bench {
  const clock = given.clock ?? new FakeClock()
  const stage = new CommandStage({
    clock,
    log: NO_LOG,
    options: () => ({ ...OPTIONS, ...given.options }),
    declared: () => given.declared,
    lastValue: (_, field) => given.values?.[field],
  })
  const waiting: { at: number; callback: (error: Error | null) => void }[] = []
  let listener: ((device: string) => void) | undefined
  const bench: Bench = {
    clock,
    stage,
    facts: [],
    records: [],
    sent: [],
    durable: 0,
    autoDurable: true,
    roomy: true,
    online: given.offline !== true,
    execute: () => Promise.resolve(undefined),
    appear() {
      bench.online = true
      listener?.('lamp')
    },
    commit() {
      bench.durable = bench.facts.length
      for (const { callback } of waiting.splice(0)) callback(null)
    },
    states: (id) => bench.records.filter((record) => record.id === id).map(({ state }) => state),
  }
  stage.attach({ append: (_, record) => bench.records.push(record) })
  stage.restore(given.state)
  for (const fact of given.replay ?? []) stage.fact('commands', fact)
  const transport: Transport = {
    name: 'test',
    reaches: () => bench.online,
    execute(command) {
      bench.sent.push(command)
      return bench.execute(command)
    },
    waiting: () => given.waiting,
    onReachable(callback) {
      listener = callback
      return () => undefined
    },
  }
  stage.start({
    journal(fact) {
      if (!bench.roomy) return -1
      // As the journal would give it back.
      bench.facts.push(JSON.parse(JSON.stringify(fact)))
      stage.fact('commands', fact)
      return bench.facts.length
    },
    whenDurable(callback) {
      waiting.push({ at: bench.facts.length, callback })
      if (bench.autoDurable) queueMicrotask(() => bench.commit())
    },
    transports: [transport],
  })
  return bench
}

export function submit(bench: Bench, more: object = {}): Promise<Submitted> {
  return bench.stage.submit({ id: 'c1', device: 'lamp', command: 'on', ...more }, 'api')
}

/** Lets promises settle. */
export async function settled(): Promise<void> {
  for (let i = 0; i < 3; i++) await new Promise((resolve) => setImmediate(resolve))
}
