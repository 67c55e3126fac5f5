/** A thousand rules of all kinds for five thousand devices that send what `payload.ts` makes. */

type Rule = Readonly<Record<string, unknown>>

/** They do not come true, as most rules do not most of the time; but the first does, now and then, for each device. */
const KINDS: readonly ((i: number) => Rule)[] = [
  (i) => ({ when: { field: 'cpuusage', above: 99 + i, hysteresis: 5 } }),
  (i) => ({ when: { field: 'memoryusage', below: 900 - i } }),
  (i) => ({ when: { field: 'memoryusage', outside: [900 - i, 1600 + i] }, for: '30s' }),
  (i) => ({ when: { field: 'cpuusage', above: 120 }, where: { device: `dvc${i % 50}*` } }),
  (i) => ({ when: { field: 'interfacestatus', equals: `lost-${i}` } }),
  () => ({ when: { field: 'state', changes: true } }),
  (i) => ({ when: { field: 'memoryusage', rate: { above: 1e6 + i } } }),
  (i) => ({
    when: { and: [{ field: 'cpuusage', above: 101 + i }, { not: { field: 'state', equals: 'NSW' } }] },
  }),
  (i) => ({ when: { absent: `${10 + (i % 50)}m` } }),
  (i) => ({ on: 'per-device', when: { field: 'cpuusage.mean', above: 101 + i } }),
]

export function rules(count: number): Readonly<Record<string, Rule>> {
  return Object.fromEntries(Array.from({ length: count }, (_, i) => [`rule-${i}`, KINDS[i % KINDS.length]?.(i) ?? {}]))
}
