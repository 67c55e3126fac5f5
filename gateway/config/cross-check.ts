/** What sections say of each other. Where addresses and access are concerned, a section that is itself wrong is not asked. */
import { type Address, formatAddress, isLoopback } from './address.ts'
import type { Finding } from './issue.ts'
import type { Parsed } from './schema.ts'
import { suggestion } from './suggest.ts'

/** @param parsed the sections that are right @param value the whole config as written */
export function crossCheck(parsed: Partial<Parsed>, value: unknown): Finding[] {
  return [
    ...brokerAccess(parsed),
    ...httpAccess(parsed),
    ...lookupTables(value),
    ...shadowedRules(value),
    ...ruleWindows(parsed, value),
    ...sharedPorts(parsed, value),
    ...tooLarge(parsed),
  ]
}

/** Listening wider than loopback needs credentials, or a person who says that it needs none. */
function* brokerAccess({ mqtt }: Partial<Parsed>): Generator<Finding> {
  if (!mqtt) return
  const { anonymous, passwordFile, tls, websocket } = mqtt
  const certificates = tls?.clientCertificates ?? 'none'
  if (anonymous === false && passwordFile === undefined && certificates === 'none') {
    const message =
      'nobody could connect: `anonymous: false` needs `passwordFile: FILE` (see `sluice passwd`) or client certificates'
    yield { path: ['mqtt', 'anonymous'], at: 'value', message }
  }
  if (anonymous !== undefined || passwordFile !== undefined) return
  yield* wide(mqtt.listen, ['mqtt', 'listen'])
  if (tls && certificates !== 'required') yield* wide(tls.listen, ['mqtt', 'tls', 'listen'])
  if (websocket) yield* wide(websocket.listen, ['mqtt', 'websocket', 'listen'])
}

function* wide(addresses: readonly Address[], path: string[]): Generator<Finding> {
  const open = addresses.find((address) => !isLoopback(address))
  if (!open) return
  const message = `${formatAddress(open)} can be reached from other machines, without credentials: add \`passwordFile: FILE\` (see \`sluice passwd\`), or \`anonymous: true\` if everyone may connect`
  yield { path, at: 'value', message }
}

function* httpAccess({ http }: Partial<Parsed>): Generator<Finding> {
  if (!http || http.token !== undefined || http.tokenFile !== undefined || Object.keys(http.users).length > 0) return
  const open = http.listen.find((address) => !isLoopback(address))
  if (!open) return
  const message = `${formatAddress(open)} can be reached from other machines, without a token: add \`token: TEXT\` or \`tokenFile: FILE\``
  yield { path: ['http', 'listen'], at: 'value', message }
}

function* lookupTables(value: unknown): Generator<Finding> {
  const lookups = at(value, 'lookups')
  const tables = typeof lookups === 'object' && lookups !== null ? Object.keys(lookups) : []
  for (const [i, rule] of list(at(value, 'decode')).entries()) {
    for (const [j, lookup] of list(at(rule, 'lookup')).entries()) {
      const table = at(lookup, 'table')
      if (typeof table !== 'string' || tables.includes(table)) continue
      const fix =
        tables.length === 0 ? `: add \`lookups: { ${table}: { file: ${table}.csv } }\`` : suggestion(table, tables)
      yield {
        path: ['decode', i, 'lookup', j, 'table'],
        at: 'value',
        message: `there is no lookup table \`${table}\`${fix}`,
      }
    }
  }
}

function* shadowedRules(value: unknown): Generator<Finding> {
  const topics = list(at(value, 'decode')).map((rule) => at(rule, 'topic'))
  for (const [i, topic] of topics.entries()) {
    const first = topics.indexOf(topic)
    if (first === i || typeof topic !== 'string') continue
    const message = `rule ${first + 1} has the same topic and wins: this one is never used, remove it`
    yield { path: ['decode', i, 'topic'], at: 'value', message }
  }
}

/** A rule on results names a window that is there. */
function* ruleWindows({ windows }: Partial<Parsed>, value: unknown): Generator<Finding> {
  const rules = at(value, 'rules')
  if (!windows || typeof rules !== 'object' || rules === null) return
  const names = Object.keys(windows)
  for (const [name, rule] of Object.entries(rules)) {
    const on = at(rule, 'on')
    if (typeof on !== 'string' || on === 'readings' || names.includes(on)) continue
    const message = `there is no window \`${on}\`${suggestion(on, names)}: write \`readings\` or the name of a window`
    yield { path: ['rules', name, 'on'], at: 'value', message }
  }
}

/** Said where a person wrote one of the two addresses; the other may be a default. */
function* sharedPorts({ mqtt, http }: Partial<Parsed>, value: unknown): Generator<Finding> {
  const listeners: [string[], readonly Address[]][] = [
    [['mqtt', 'listen'], mqtt?.listen ?? []],
    [['mqtt', 'tls', 'listen'], mqtt?.tls?.listen ?? []],
    [['mqtt', 'websocket', 'listen'], mqtt?.websocket?.listen ?? []],
    [['http', 'listen'], http?.listen ?? []],
  ]
  const taken = new Map<string, string[]>()
  for (const [path, addresses] of listeners) {
    for (const address of addresses) {
      const text = formatAddress(address)
      const other = taken.get(text)
      if (other === undefined) {
        if (address.port !== 0) taken.set(text, path)
        continue
      }
      const written = path.reduce(at, value) !== undefined
      const [here, there] = written ? [path, other] : [other, path]
      const message = `${text} is already taken by \`${there.join('.')}\`: choose another port`
      yield { path: here, at: 'value', message }
    }
  }
}

/** A message must fit into the journal's buffer, with room to go on while it is written. */
function* tooLarge({ mqtt, http, journal }: Partial<Parsed>): Generator<Finding> {
  if (!journal) return
  const most = journal.buffer / 2
  const fix = '`journal.buffer`: at most half of it, or a larger buffer'
  if (mqtt && mqtt.limits.packet > most)
    yield { path: ['mqtt', 'limits', 'packet'], at: 'value', message: `does not fit into ${fix}` }
  if (http && http.maxBody > most) yield { path: ['http', 'maxBody'], at: 'value', message: `does not fit into ${fix}` }
}

function list(value: unknown): readonly unknown[] {
  return Array.isArray(value) ? value : []
}

function at(value: unknown, key: string): unknown {
  if (typeof value !== 'object' || value === null || !Object.hasOwn(value, key)) return undefined
  return (value as Readonly<Record<string, unknown>>)[key]
}
