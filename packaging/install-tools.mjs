// `node packaging/install-tools.mjs`, as root on Debian: what it takes to build and try executables of all architectures.
import { existsSync } from 'node:fs'
import { canInstall, installDebian } from '../scripts/debian.mjs'
import { say } from '../scripts/setup.mjs'
import { missingEmulation } from './emulation.mjs'
import { TARGETS } from './targets.mjs'

const missing = Object.values(TARGETS).flatMap((target) => [
  ...(existsSync(`/usr/bin/${target.strip.program}`) ? [] : [target.strip.from]),
  ...(missingEmulation(target) === undefined ? [] : (target.emulator?.from.split(' ') ?? [])),
])
const names = [...new Set(missing)]
if (names.length > 0) {
  say(`tools of the executables: ${names.join(', ')}`)
  const failed = canInstall() ? installDebian(names) : names
  if (failed.length > 0) {
    say(`not installed: ${failed.join(', ')}`)
    process.exitCode = 1
  }
}
