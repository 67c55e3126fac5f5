/** What the gateway journals of readings and ticks, on definitions of every kind; and its replay. */
import type { Tick, WindowDefinition } from '../../gateway/window/stage.ts'
import { Bench, define, random, type Sample, START } from './simulation.ts'

export type Step = { readonly sample: Sample } | { readonly tick: Tick }

const EVERY_STATISTIC = [
  ...['min', 'max', 'sum', 'mean', 'ssd', 'stddev', 'stddev_samp', 'first', 'last', 'rate', 'distinct'],
  ...['p50', 'p99.9', 'sketch'],
]

export const DEFINITIONS: readonly WindowDefinition[] = [
  define({ name: 'tumbling', retain: 20_000, statistics: EVERY_STATISTIC, attach: true }),
  define({ name: 'hopping', kind: { hopping: { size: 45_000, slide: 15_000 } }, by: ['site'], idle: 15_000 }),
  define({ name: 'session', kind: { session: 3_000 }, by: ['device', 'stream'], idle: 5_000, delay: 500 }),
  define({ name: 'sessions', kind: { session: 1_000 }, by: ['state'], retain: 10_000, delay: 500 }),
  define({ name: 'fleet', by: [], delay: 500, late: 'drop', where: { site: 'north' } }),
  define({ name: 'processing', by: ['device'], time: 'processing' }),
  define({ name: 'crowded', by: ['device', 'state'], maxKeys: 7, retain: 30_000 }),
  define({ name: 'refusing', by: ['state', 'device'], maxKeys: 5, whenFull: 'refuse', idle: 3_000 }),
]

/** What the gateway journals: readings, and ticks as `due` asked for them; the wall clock is stepped twice. */
export function journal(seed: number, count: number): Step[] {
  const next = random(seed)
  const pick = <T>(from: readonly T[]): T => from[Math.floor(next() * from.length)] as T
  const bench = new Bench(...DEFINITIONS)
  const steps: Step[] = []
  let monotonic = 0
  let step = 0
  for (let i = 0; i < count; i++) {
    monotonic += next() < 0.01 ? 20_000 : next() * 300
    if (i === Math.floor(count / 3)) step = 3_600_000
    if (i === Math.floor((count * 2) / 3)) step = 0
    const wall = Math.floor(START + monotonic + step)
    const due = bench.stage.due(wall, monotonic, bench.entry)
    // Some in slices, as if there were very many devices; the rest of it is due next.
    const tick = due && !due.slice && next() < 0.3 ? { ...due, slice: { index: 0, of: 3 } } : due
    if (tick) {
      bench.entry++
      bench.stage.tick(tick)
      steps.push({ tick })
    }
    const stamped = next() < 0.2
    const sample: Sample = {
      device: pick(['d1', 'd2', 'd3', 'd4', 'd5']),
      time: stamped ? wall : Math.floor(START + monotonic - (next() < 0.1 ? next() * 60_000 : next() * 1000)),
      received: wall,
      stamped,
      source: pick(['mqtt', 'mqtt', 'http']),
      stream: pick(['x', 'y']),
      tags: { site: pick(['north', 'south']) },
      fields: {
        ...(next() < 0.7 ? { a: Math.floor(next() * 100) } : { b: next() - 0.5 }),
        state: pick(['up', 'down']),
      },
    }
    bench.add(sample)
    steps.push({ sample })
  }
  return steps
}

export function take(bench: Bench, step: Step): void {
  if ('tick' in step) {
    bench.entry++
    bench.stage.tick(step.tick)
  } else bench.add(step.sample)
}

export function replay(steps: readonly Step[], reload: (i: number) => boolean): Bench {
  const bench = new Bench(...DEFINITIONS)
  steps.forEach((step, i) => {
    take(bench, step)
    if (reload(i)) bench.reload()
  })
  return bench
}

export const textOf = (bench: Bench) => bench.records.map((record) => JSON.stringify(record))
