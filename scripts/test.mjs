// `npm test`: installs what the tests need, builds, and runs them all. `npm test -- test/log` runs a part.
import { spawnSync } from 'node:child_process'
import { readdirSync, readFileSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { installPackages, installPeers, run, say } from './setup.mjs'

/** `.ci/run` repeats its first line. */
const CLOSING = 'dist/tests.txt'
/** A file of tests that hangs is ended after this long, and has failed; ms. */
const PATIENCE = 600_000

installPackages()
installPeers()
run(process.execPath, ['build.mjs'])
const asked = process.argv.slice(2)
const files = (asked.length ? asked : ['test']).flatMap(testFiles)
const reporters = [
  ['spec', 'stdout'],
  ['./scripts/closing-reporter.mjs', CLOSING],
].flatMap(([reporter, destination]) => [`--test-reporter=${reporter}`, `--test-reporter-destination=${destination}`])
const options = ['--import', 'tsx', '--test', '--test-concurrency=2', `--test-timeout=${PATIENCE}`, ...reporters]
const { status } = spawnSync(process.execPath, [...options, ...files], { stdio: 'inherit' })
say(readFileSync(CLOSING, 'utf8').trimEnd())
process.exit(status ?? 1)

function testFiles(path) {
  if (statSync(path).isFile()) return [path]
  return readdirSync(path, { withFileTypes: true })
    .flatMap((entry) => (entry.isDirectory() ? testFiles(join(path, entry.name)) : [join(path, entry.name)]))
    .filter((file) => file.endsWith('.test.ts'))
    .sort()
}
