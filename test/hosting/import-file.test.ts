import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { importFile } from '../../gateway/hosting/import-file.ts'

const folder = mkdtempSync(join(tmpdir(), 'sluice import '))
after(() => rmSync(folder, { recursive: true, force: true }))

function write(name: string, text: string): string {
  const file = join(folder, name)
  writeFileSync(file, text)
  return file
}

test('a file of either kind is loaded, also from a folder with odd letters in its name', async () => {
  const modern = await importFile(write('a b#c?.mjs', 'export default 41 + 1'))
  const old = await importFile(write('old.cjs', 'module.exports = 43'))
  assert.deepEqual(
    [modern, old].map((found) => (found as { default: unknown }).default),
    [42, 43],
  )
})

test('a mistake in the file is what the caller hears of', async () => {
  await assert.rejects(importFile(write('broken.mjs', 'export default (')), SyntaxError)
  await assert.rejects(importFile(join(folder, 'none.mjs')), /none\.mjs/)
})
