// `npm test`: installs what the tests need, builds, and runs them all. `npm test -- test/log` runs a part.
import { spawnSync } from 'node:child_process'
import { readdirSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { installPackages, installPeers, run } from './setup.mjs'

installPackages()
installPeers()
run(process.execPath, ['build.mjs'])
const asked = process.argv.slice(2)
const files = (asked.length ? asked : ['test']).flatMap(testFiles)
const { status } = spawnSync(
  process.execPath,
  ['--import', 'tsx', '--test', '--test-concurrency=2', '--test-reporter=spec', ...files],
  { stdio: 'inherit' },
)
process.exit(status ?? 1)

function testFiles(path) {
  if (statSync(path).isFile()) return [path]
  return readdirSync(path, { withFileTypes: true })
    .flatMap((entry) => (entry.isDirectory() ? testFiles(join(path, entry.name)) : [join(path, entry.name)]))
    .filter((file) => file.endsWith('.test.ts'))
    .sort()
}
