import assert from 'node:assert/strict'
import { copyFileSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { checkConfig } from '../gateway/config/load.ts'
import { plugins } from '../plugins/index.ts'
import { fileOf } from './config/given.ts'

const PAGES = ['README.md', ...readdirSync('docs/guides').map((name) => join('docs/guides', name))]
/** The first key of an example that is not a config of ours. */
const FOREIGN = /^(services|groups|plugins):/

for (const page of PAGES)
  test(`every config in ${page} has no mistakes`, async (t) => {
    const examples = [...readFileSync(page, 'utf8').matchAll(/```yaml\n([\s\S]*?)```/g)].map(
      ([, yaml]) => yaml as string,
    )
    for (const yaml of examples.filter((text) => !FOREIGN.test(text))) {
      const file = await fileOf(t, yaml)
      copyFileSync('examples/modems/postcodes.csv', join(file, '..', 'postcodes.csv'))
      writeFileSync(join(file, '..', 'cloud.pass'), 'secret')
      assert.deepEqual(await checkConfig(file, { plugins, env: {} }), [], yaml)
    }
  })

test('every link between the pages leads somewhere', () => {
  for (const page of PAGES)
    for (const [, target] of readFileSync(page, 'utf8').matchAll(/\]\((?!https?:)([^)#]+)(?:#[^)]*)?\)/g))
      assert.doesNotThrow(() => readdirOrFile(join(page, '..', target as string)), `${page}: ${target}`)
})

function readdirOrFile(path: string): void {
  try {
    readFileSync(path)
  } catch {
    readdirSync(path)
  }
}
