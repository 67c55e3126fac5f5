import assert from 'node:assert/strict'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { parse } from 'yaml'
import { z } from 'zod'
import { type JsonSchema, jsonSchema } from '../../gateway/config/json-schema.ts'
import { referencePage } from '../../gateway/config/reference.ts'
import { configSchema } from '../../gateway/config/schema.ts'
import { PLUGINS } from './given.ts'

const SCHEMA = jsonSchema(PLUGINS)

/** zod reads the schema back; its formats are for people. */
function validator() {
  return z.fromJSONSchema(SCHEMA as Parameters<typeof z.fromJSONSchema>[0])
}

test('every field is described', () => {
  const bare: string[] = []
  const walk = (schema: JsonSchema, path: string) => {
    for (const [key, child] of Object.entries(schema.properties ?? {})) {
      if (!child.description && !path.includes('whenFull')) bare.push(`${path}.${key}`)
      walk(child, `${path}.${key}`)
    }
    if (typeof schema.additionalProperties === 'object') walk(schema.additionalProperties, `${path}.*`)
    if (schema.items) walk(schema.items, `${path}[]`)
    for (const form of schema.anyOf ?? []) walk(form, path)
  }
  walk(SCHEMA, '')
  assert.deepEqual(bare, [])
})

test('durations and sizes are text, with their defaults as a person writes them', () => {
  const journal = SCHEMA.properties?.journal?.properties
  assert.equal(journal?.commit?.default, '20ms')
  assert.equal(journal?.commit?.['x-value'], 'duration')
  assert.equal(journal?.maxBytes?.default, '4GB')
  assert.equal(SCHEMA.properties?.http?.properties?.token?.writeOnly, true)
})

test('what the schema accepts and refuses, the JSON Schema does too', async () => {
  const schema = validator()
  for (const name of ['bikes', 'meters', 'modems']) {
    const example: unknown = parse(await readFile(join('examples', name, 'sluice.yaml'), 'utf8'))
    assert.ok(schema.safeParse(example).success, name)
  }
  const wrong = [
    { windows: { a: { tumbing: '10s' } } },
    { windows: { a: { tumbling: '10s', session: '5s' } } },
    { windows: { a: { tumbling: 'ten' } } },
    { upstreams: { a: { kafka: {} } } },
    { upstreams: { a: { http: {}, raw: 1 } } },
    { log: { level: 'loud' } },
    { journal: { maxBytes: '1XB' } },
    { mqtt: { listen: 1883 } },
    { decode: [{ codec: 'json' }] },
    { outbox: { whenFull: { event: 'never' } } },
  ]
  for (const config of wrong) {
    assert.ok(!configSchema(PLUGINS).safeParse(config).success, `schema: ${JSON.stringify(config)}`)
    assert.ok(!schema.safeParse(config).success, `JSON Schema: ${JSON.stringify(config)}`)
  }
})

test('every example of the schema is itself valid', () => {
  const sections = Object.entries(SCHEMA.properties ?? {})
  for (const [name, schema] of sections) {
    const configs = Object.entries(schema.properties ?? {}).flatMap(([key, child]) =>
      (child.examples ?? []).map((example) => ({ [name]: { [key]: example } })),
    )
    const whole = (schema.examples ?? []).map((example) => ({ [name]: example }))
    for (const config of [...configs, ...whole]) {
      const { error } = configSchema(PLUGINS).safeParse(config)
      assert.equal(error, undefined, JSON.stringify(config))
    }
  }
})

test('the reference page has a row for every key, and is the same twice', () => {
  const page = referencePage(PLUGINS)
  assert.equal(page, referencePage(PLUGINS))
  assert.match(page, /\| `limits\.packet` \| size \| `1MiB` \|/)
  assert.match(page, /\| `<name>\.tumbling` \| duration \| {2}\| .* \| `tumbling: 10s` \|/)
  assert.match(page, /\| `\[\]\.fields\.<name>\.type` \| `number` or `integer` or `text` or `boolean` \| required \|/)
  assert.match(page, /### Plugin mqtt\n\nAnother broker\. Stands under `sources` and `upstreams`\./)
  for (const line of page.split('\n').filter((one) => one.startsWith('| '))) {
    assert.equal(line.replaceAll('\\|', '').split('|').length, 7, line)
  }
})
