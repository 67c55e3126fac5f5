import type { Pipeline } from '../pipeline.ts'

export function windowPage(pipeline: Pipeline, window: string | undefined, device: string | undefined, limit: number) {
  const { windows } = pipeline
  const ledger = windows.tally()
  const definitions = windows.stats().map(({ window: name, keys, evictedKeys }) => {
    const definition = windows.definitions.find((candidate) => candidate.name === name)
    const kind = Object.keys(definition?.kind ?? {})[0] ?? ''
    const rows = ledger.filter((row) => row.window === name)
    const sum = (pick: (row: (typeof rows)[number]) => number) => rows.reduce((total, row) => total + pick(row), 0)
    return {
      name,
      kind,
      by: [...(definition?.by ?? [])],
      keys,
      emitted: pipeline.resultsOf(name),
      corrections: sum((row) => row.corrected),
      late: sum((row) => row.late),
      evicted: evictedKeys,
    }
  })
  const results = definitions
    .filter(({ name }) => window === undefined || name === window)
    .flatMap(({ name }) => windows.latest(name))
    .filter((record) => device === undefined || record.key.device === device)
    .sort((a, b) => (a.end < b.end ? 1 : -1))
    .slice(0, limit)
  return {
    definitions,
    results: results.map((record) => ({ ...record, key: { ...record.key }, fields: fieldsOf(record.fields) })),
  }
}

function fieldsOf(fields: object): Record<string, Record<string, unknown>> {
  return Object.fromEntries(Object.entries(fields).map(([name, statistics]) => [name, { ...statistics }]))
}
