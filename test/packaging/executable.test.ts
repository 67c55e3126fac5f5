import { test } from 'node:test'
import { TARGETS } from '../../packaging/targets.mjs'
import { executableFor, unavailable } from './executable.ts'
import { smoke } from './smoke.ts'

for (const arch of Object.keys(TARGETS) as (keyof typeof TARGETS)[]) {
  const name = `the ${arch} executable takes readings, computes, delivers, commands, and loses nothing to kill -9`
  test(name, { skip: unavailable(arch), timeout: 180_000 }, (t) =>
    smoke(executableFor(arch), (step) => t.diagnostic(step)),
  )
}
