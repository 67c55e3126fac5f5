import assert from 'node:assert/strict'
import { test } from 'node:test'
import { seeded } from '../../examples/random.ts'
import type { Value } from '../../gateway/rules/definition.ts'
import { BEGIN, RuleBench, rulesOf } from './bench.ts'
import { NaiveRules } from './naive.ts'

const WORDS = ['a', 'b', 'c', 'd']

/** `n` and `m` are numbers, `s` is text, `b` true or false. */
function randomRules(below: (n: number) => number, count: number): Record<string, object> {
  const one = <T>(list: readonly T[]) => list[below(list.length)] as T
  const number = () => one(['n', 'm'])
  const hysteresis = () => (below(2) ? {} : { hysteresis: below(4) })
  const pair = () => [below(10), below(10)].sort((a, b) => a - b)
  const leaves: readonly (() => object)[] = [
    () => ({ field: number(), above: below(20), ...hysteresis() }),
    () => ({ field: number(), below: below(20), ...hysteresis() }),
    () => ({ field: number(), above: below(10), below: 10 + below(10), ...hysteresis() }),
    () => ({ field: number(), between: pair(), ...hysteresis() }),
    () => ({ field: number(), outside: pair(), ...hysteresis() }),
    () => ({ field: number(), equals: below(20) }),
    () => ({ field: 'b', equals: below(2) === 1 }),
    () => ({ field: 's', oneOf: [one(WORDS), one(WORDS)] }),
    () => ({ field: one(['n', 's', 'b']), changes: true }),
    () => ({ field: 's', changes: one<object>([{ from: one(WORDS) }, { to: one(WORDS) }, { from: 'a', to: 'b' }]) }),
    () => ({ field: number(), rate: { above: below(10), below: -below(10), per: `${1 + below(5)}s` } }),
    () => ({ absent: `${5 + below(40)}s` }),
    () => ({ field: one(['n', 's']), absent: `${5 + below(40)}s` }),
  ]
  const condition = (depth: number): object => {
    if (depth === 0 || below(3) > 0) return one(leaves)()
    if (below(3) === 0) return { not: condition(depth - 1) }
    return { [one(['and', 'or'])]: Array.from({ length: 2 + below(2) }, () => condition(depth - 1)) }
  }
  const rule = () => ({
    when: condition(2),
    maxPerMinute: 1_000_000,
    ...(below(4) ? {} : { clear: condition(1) }),
    ...(below(3) ? {} : { for: `${1 + below(30)}s` }),
    ...(below(5) ? {} : { late: true }),
    ...(below(3) ? {} : { where: { device: `d${below(3)}*` } }),
    ...(below(4) ? {} : { by: ['device', 'stream'] }),
  })
  return Object.fromEntries(Array.from({ length: count }, (_, i) => [`r${i}`, rule()]))
}

for (const seed of [1, 2, 3])
  test(`many rules at once give what each alone gives when it is judged in the plainest way (seed ${seed})`, async () => {
    const random = seeded(seed)
    const below = (n: number) => Math.floor(random() * n)
    const rules = randomRules(below, 120)
    const bench = new RuleBench().define(rules)
    const naive = new NaiveRules(rulesOf(rules))
    let happened = 0
    const compare = (step: string) => {
      const text = bench.alerts
        .splice(0)
        .map(({ rule, state, key, time }) => `${rule} ${state} ${Object.values(key).join(' ')} ${Date.parse(time)}`)
      happened += text.length
      assert.deepEqual(text.sort(), naive.said.splice(0).sort(), step)
    }
    const all: Record<string, () => Value> = {
      n: () => below(20),
      m: () => below(20),
      s: () => WORDS[below(4)] as string,
      b: () => below(2) === 1,
    }
    for (let i = 0; i < 1500; i++) {
      const [device, stream] = [`d${below(4)}`, `s${below(2)}`]
      const names = Object.keys(all).filter(() => below(3) > 0)
      const fields = Object.fromEntries(names.map((name) => [name, all[name]?.() as Value]))
      const now = BEGIN + bench.now
      const time = below(10) === 0 ? now - 100 * below(50) : now
      bench.reading(device, fields, { stream, time })
      naive.reading({ key: { device, stream }, fields, time, now })
      compare(`seed ${seed}, reading ${i}`)
      for (let seconds = below(4) === 0 ? below(20) : 0; seconds > 0; seconds--) {
        await bench.pass(1000)
        naive.tick(BEGIN + bench.now)
        compare(`seed ${seed}, ${seconds} s after reading ${i}`)
      }
    }
    assert.ok(happened > 5000)
  })
