/**
 * One file out of Node and the bundle: a SEA blob, made by the very Node it goes into, is put into a stripped copy of it.
 * https://nodejs.org/api/single-executable-applications.html
 *
 * The same input gives the same bytes: nothing of the clock, of paths or of this machine's name goes in.
 */
import { chmodSync, copyFileSync, mkdtempSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { runFor, runProgram } from './emulation.mjs'

const POSTJECT = createRequire(import.meta.url).resolve('postject/dist/cli.js')
const FUSE = 'NODE_SEA_FUSE_fce680ab2cc467b6e072b8b5df1996b2'

/** @param script text of the CommonJS bundle */
export function makeExecutable({ target, node, script, output }) {
  const work = mkdtempSync(join(tmpdir(), 'sluice-build-'))
  try {
    makeBlob(target, node, script, work)
    const draft = join(work, 'sluice')
    copyFileSync(node, draft)
    chmodSync(draft, 0o755)
    stripSymbols(target, draft)
    // Its complaints about section names are of no consequence, so only a failure shows what it said.
    runProgram(process.execPath, [POSTJECT, draft, 'NODE_SEA_BLOB', join(work, 'blob'), '--sentinel-fuse', FUSE])
    chmodSync(draft, 0o755)
    copyFileSync(draft, `${output}.new`)
    renameSync(`${output}.new`, output)
  } finally {
    rmSync(work, { recursive: true })
  }
}

function makeBlob(target, node, script, work) {
  writeFileSync(join(work, 'sluice.cjs'), script)
  // Relative paths: the blob holds the name of its main script.
  const config = { main: 'sluice.cjs', output: 'blob', disableExperimentalSEAWarning: true, useCodeCache: true }
  writeFileSync(join(work, 'sea.json'), JSON.stringify(config))
  // The code cache holds hashes of names, which V8 salts at random; the seed is not among the flags it compares on loading.
  runFor(target, node, ['--random-seed=1', '--experimental-sea-config', 'sea.json'], { cwd: work })
}

/** Before the blob goes in: afterwards strip would spoil the file. */
function stripSymbols({ strip, debian }, file) {
  try {
    runProgram(strip.program, [file])
  } catch (error) {
    throw new Error(`cannot strip a program of ${debian} (Debian package ${strip.from}): ${error.message}`)
  }
}
