import assert from 'node:assert/strict'
import { type ChildProcess, spawn } from 'node:child_process'
import { createHash } from 'node:crypto'
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { StartError } from '../../gateway/errors.ts'
import { lockDirectory, type Processes, systemProcesses } from '../../gateway/log/lock.ts'

let directory = ''

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'sluice-lock-'))
})

afterEach(() => rmSync(directory, { recursive: true }))

const locked = (error: unknown) => error instanceof StartError && error.code === 'SLUICE_DATA_LOCKED'

/** Processes of an imaginary machine. */
function machine(self: string, alive: readonly string[]): Processes {
  return { self, alive: (identity) => alive.some((one) => identity.startsWith(`${one} `)) }
}

test('a data directory is locked by one, and free after release', () => {
  const lock = lockDirectory(directory)
  assert.throws(() => lockDirectory(directory), locked)
  lock.release()
  assert.deepEqual(readdirSync(directory), [])
  lockDirectory(directory).release()
})

test('a lock is stale when its process is gone, its id was reused, or the machine was restarted', () => {
  const me = systemProcesses()
  const [pid = '', start = '', boot = ''] = me.self.split(' ')
  assert.equal(me.alive(`${me.self} x`), true)
  assert.equal(me.alive(`${pid} ${Number(start) - 1} ${boot} x`), false, 'another process has the id now')
  assert.equal(me.alive(`${pid} ${start} 00000000-0000-0000-0000-000000000000 x`), false, 'another boot')
  assert.equal(me.alive(`4194304 ${start} ${boot} x`), false, 'no such process')
  assert.equal(me.alive('nonsense'), false)
  writeFileSync(join(directory, 'lock'), `${pid} ${Number(start) - 1} ${boot} x\n`)
  lockDirectory(directory).release()
})

test('an empty or garbled lock file is stale', () => {
  for (const content of ['', '\0\0\0\0', 'garbage']) {
    writeFileSync(join(directory, 'lock'), content)
    lockDirectory(directory).release()
  }
})

test('releasing leaves a lock alone that somebody else has taken over', () => {
  const first = lockDirectory(directory, machine('1 1 a', []))
  lockDirectory(directory, machine('2 2 a', ['2 2 a']))
  first.release()
  assert.ok(readFileSync(join(directory, 'lock'), 'latin1').startsWith('2 2 a'))
})

test('a lock that somebody deleted is taken again, and not from another who was quicker', () => {
  const first = lockDirectory(directory, machine('1 1 a', ['1 1 a', '2 2 a']))
  rmSync(join(directory, 'lock'))
  assert.equal(first.retake(), true)
  assert.ok(readFileSync(join(directory, 'lock'), 'latin1').startsWith('1 1 a'))
  rmSync(join(directory, 'lock'))
  const second = lockDirectory(directory, machine('2 2 a', ['1 1 a', '2 2 a']))
  assert.equal(first.retake(), false)
  assert.match(first.missing ?? '', /another gateway/)
  second.release()
  assert.equal(first.retake(), true)
  assert.equal(first.missing, undefined)
})

test('who died while taking over is no obstacle to the next', () => {
  const stale = 'dead\n'
  writeFileSync(join(directory, 'lock'), stale)
  const guard = `lock.${createHash('sha256').update(stale).digest('hex').slice(0, 12)}`
  writeFileSync(join(directory, guard), 'dead too\n')
  const me = machine('3 3 a', ['3 3 a'])
  lockDirectory(directory, me)
  assert.deepEqual(readdirSync(directory), ['lock'])
  assert.throws(() => lockDirectory(directory, me), locked)
})

test('while another takes over a stale lock, one does not', () => {
  const stale = 'dead\n'
  writeFileSync(join(directory, 'lock'), stale)
  const guard = `lock.${createHash('sha256').update(stale).digest('hex').slice(0, 12)}`
  writeFileSync(join(directory, guard), '4 4 a x\n')
  assert.throws(() => lockDirectory(directory, machine('3 3 a', ['4 4 a'])), locked)
  assert.equal(readFileSync(join(directory, 'lock'), 'latin1'), stale)
})

const CONTENDER = `
  import { lockDirectory } from ${JSON.stringify(new URL('../../gateway/log/lock.ts', import.meta.url).href)}
  process.stdout.write('ready\\n')
  process.stdin.once('data', () => {
    try {
      lockDirectory(process.argv[1])
      process.stdout.write('held\\n')
    } catch (error) {
      process.stdout.write(error.code + '\\n')
    }
  })
`

function contender(): { child: ChildProcess; line: () => Promise<string> } {
  const args = ['--import', 'tsx', '--input-type=module', '-e', CONTENDER, directory]
  const child = spawn(process.execPath, args, {
    cwd: fileURLToPath(new URL('../..', import.meta.url)),
    stdio: ['pipe', 'pipe', 'inherit'],
  })
  const lines: string[] = []
  const waiting: ((line: string) => void)[] = []
  child.stdout?.on('data', (chunk: Buffer) => {
    for (const line of chunk.toString().split('\n').filter(Boolean)) {
      const next = waiting.shift()
      if (next) next(line)
      else lines.push(line)
    }
  })
  return {
    child,
    line: () =>
      new Promise((resolve) => {
        const line = lines.shift()
        if (line !== undefined) resolve(line)
        else waiting.push(resolve)
      }),
  }
}

test('of many processes that find a stale lock at once, exactly one takes it', { timeout: 30_000 }, async () => {
  writeFileSync(join(directory, 'lock'), '1 1 another-boot x\n')
  const contenders = Array.from({ length: 5 }, contender)
  try {
    for (const { line } of contenders) assert.equal(await line(), 'ready')
    for (const { child } of contenders) child.stdin?.write('go\n')
    const answers = await Promise.all(contenders.map(({ line }) => line()))
    assert.deepEqual(answers.sort(), [...Array(4).fill('SLUICE_DATA_LOCKED'), 'held'])
    assert.ok(existsSync(join(directory, 'lock')))
  } finally {
    for (const { child } of contenders) child.kill('SIGKILL')
  }
  // Their holder was killed.
  await Promise.all(
    contenders.map(
      ({ child }) =>
        new Promise((resolve) =>
          (child.exitCode ?? child.signalCode) !== null ? resolve(null) : child.once('exit', resolve),
        ),
    ),
  )
  lockDirectory(directory).release()
})
