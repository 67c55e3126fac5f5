import { test } from 'node:test'
import { executableFor, unavailable } from './executable.ts'
import { smoke } from './smoke.ts'

test(
  'the x64 executable takes readings, computes, delivers, and loses nothing to kill -9',
  {
    skip: unavailable('x64'),
    timeout: 180_000,
  },
  (t) => smoke(executableFor('x64'), (step) => t.diagnostic(step)),
)
