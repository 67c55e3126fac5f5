// `node --import tsx packaging/smoke.ts [x64|arm64|armhf …]`: tries executables that were built; without names, all three.
import { executableFor, unavailable } from '../test/packaging/executable.ts'
import { smoke } from '../test/packaging/smoke.ts'
import { TARGETS } from './targets.mjs'

const all = Object.keys(TARGETS) as (keyof typeof TARGETS)[]
const asked = process.argv.slice(2)
for (const arch of all.filter((name) => asked.length === 0 || asked.includes(name))) {
  const why = unavailable(arch)
  if (why !== false) throw new Error(why)
  const begun = performance.now()
  await smoke(executableFor(arch), (step) => process.stdout.write(`${arch}: ${step}\n`))
  process.stdout.write(`${arch}: all of it works (${((performance.now() - begun) / 1000).toFixed(1)} s)\n`)
}
