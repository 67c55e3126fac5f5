// `node packaging/install-tools.mjs`, as root on Debian: installs what it takes to build and try executables of all
// architectures, and prints those that can be built now.
import { existsSync } from 'node:fs'
import { canInstall, installDebian } from '../scripts/debian.mjs'
import { missingEmulation } from './emulation.mjs'
import { TARGETS } from './targets.mjs'

const missing = (target) => [
  ...(existsSync(`/usr/bin/${target.strip.program}`) ? [] : [target.strip.from]),
  ...(missingEmulation(target) === undefined ? [] : (target.emulator?.from.split(' ') ?? [])),
]
const names = [...new Set(Object.values(TARGETS).flatMap(missing))]
if (names.length > 0) {
  process.stderr.write(`tools for executables: ${names.join(', ')}\n`)
  const failed = canInstall() ? installDebian(names) : names
  if (failed.length > 0) process.stderr.write(`not installed: ${failed.join(', ')}\n`)
}
const possible = Object.keys(TARGETS).filter((arch) => missing(TARGETS[arch]).length === 0)
process.stdout.write(`${possible.join(' ')}\n`)
