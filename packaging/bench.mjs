// `npm run bench:bin`: size, time to listening and memory at rest of the executables that are built, as a table.
// On a machine with other work, `chrt -f 10` before it gives a start the processor it would have alone.
import { spawn } from 'node:child_process'
import { existsSync, mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { packageVersion, say } from '../scripts/setup.mjs'
import { launcher, missingEmulation } from './emulation.mjs'
import { executablePath, TARGETS } from './targets.mjs'

/** MB, ms, MB */
const LIMITS = { x64: { file: 125, start: 250, memory: 95 }, arm64: { file: 125 }, armhf: { file: 100 } }
const STARTS = 20
const STARTS_EMULATED = 3
/** Memory at rest is read this long after the start, ms. */
const REST = 10_000

const rows = []
for (const [arch, target] of Object.entries(TARGETS)) {
  const file = executablePath(packageVersion(), arch)
  if (existsSync(file)) rows.push(await measure(arch, target, file))
}
say('| executable | file MB | to listening ms (median) | idle RSS MB | limits: file, start, memory |')
say('|---|---|---|---|---|')
for (const { arch, how, size, start, memory } of rows) {
  const { file, start: ms = '-', memory: mb = '-' } = LIMITS[arch]
  say(`| ${arch}${how} | ${size.toFixed(1)} | ${start} | ${memory} | ${file}, ${ms}, ${mb} |`)
}
const over = rows.filter(({ arch, size, start, memory }) => {
  const limit = LIMITS[arch]
  return size > limit.file || start > (limit.start ?? Infinity) || memory > (limit.memory ?? Infinity)
})
if (over.length > 0) {
  say(`over the limit: ${over.map(({ arch }) => arch).join(', ')}`)
  process.exitCode = 1
}

async function measure(arch, target, file) {
  const size = statSync(file).size / 1e6
  const emulated = target.nodeArch !== process.arch
  if (missingEmulation(target) !== undefined)
    return { arch, how: ' (does not run here)', size, start: '-', memory: '-' }
  const times = []
  for (let i = 0; i < (emulated ? STARTS_EMULATED : STARTS); i++) times.push((await started(target, file)).ms)
  times.sort((a, b) => a - b)
  const start = Math.round(times[Math.floor(times.length / 2)])
  // Under an emulator it is the emulator's memory.
  const memory = emulated ? '-' : Math.round((await started(target, file, REST)).memory)
  return { arch, how: emulated ? ' (emulated)' : '', size, start, memory }
}

/** A gateway with default settings and an empty data directory, from the start of its process to its ready line. */
async function started(target, file, rest = 0) {
  const data = mkdtempSync(join(tmpdir(), 'sluice-bench-'))
  const { command, env } = launcher(target)
  const [program, ...args] = [...command, file, 'run', '--data', data]
  const ports = { SLUICE__MQTT__LISTEN: '127.0.0.1:0', SLUICE__HTTP__LISTEN: '127.0.0.1:0' }
  const begun = performance.now()
  const child = spawn(program, args, { env: { ...process.env, ...env, ...ports }, stdio: ['ignore', 'pipe', 'ignore'] })
  try {
    await new Promise((resolve, reject) => {
      child.stdout.once('data', resolve)
      child.once('exit', (code) => reject(new Error(`${file} ended with ${code}`)))
    })
    const ms = performance.now() - begun
    await pause(rest)
    const [, kilobytes] = /VmRSS:\s+(\d+) kB/.exec(readFileSync(`/proc/${child.pid}/status`, 'utf8')) ?? []
    return { ms, memory: (Number(kilobytes) * 1024) / 1e6 }
  } finally {
    child.kill('SIGKILL')
    rmSync(data, { recursive: true, force: true, maxRetries: 3 })
  }
}
