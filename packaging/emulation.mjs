/** Runs programs of another architecture by Debian's user-mode emulator and cross libraries. */
import { spawnSync } from 'node:child_process'
import { existsSync } from 'node:fs'

/** How a program of `target` is started here: `[program, ...first arguments]` and what the environment needs. */
export function launcher(target) {
  if (target.nodeArch === process.arch) return { command: [], env: {} }
  const { program, root } = target.emulator ?? {}
  if (program === undefined) throw new Error(`${target.debian}: no emulator is known for this machine`)
  return { command: [program], env: { QEMU_LD_PREFIX: root } }
}

/** What is missing to run programs of `target`, or undefined. */
export function missingEmulation(target) {
  if (target.nodeArch === process.arch) return undefined
  const { emulator } = target
  if (emulator === undefined) return `there is no emulator of ${target.debian} for ${process.arch}`
  const found = (process.env.PATH ?? '').split(':').some((folder) => existsSync(`${folder}/${emulator.program}`))
  return found && existsSync(`${emulator.root}/lib/libatomic.so.1`) ? undefined : `apt-get install ${emulator.from}`
}

/** @throws Error with what the program printed */
export function runFor(target, file, args, options = {}) {
  const missing = missingEmulation(target)
  if (missing !== undefined) throw new Error(`programs of ${target.debian} do not run here: ${missing}`)
  const { command, env } = launcher(target)
  const [program, ...rest] = [...command, file, ...args]
  return runProgram(program, rest, { ...options, env: { ...process.env, ...env } })
}

/** @throws Error with what the program printed */
export function runProgram(program, args, options = {}) {
  const { status, stdout, stderr, error } = spawnSync(program, args, { encoding: 'utf8', ...options })
  if (error) throw new Error(`${program}: ${error.message}`)
  if (status !== 0) throw new Error(`${program} ${args.join(' ')} ended with ${status}:\n${stdout}${stderr}`)
  return stdout
}
