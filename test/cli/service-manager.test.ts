import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createServiceManager } from '../../gateway/cli/service-manager.ts'
import { FakeClock } from '../support/clock.ts'
import { silentLog } from './sluice.ts'

const SOCKET = { NOTIFY_SOCKET: '/run/systemd/notify' }
const WATCHED = { ...SOCKET, WATCHDOG_USEC: '60000000' }
const MINUTE = 60_000

function service(env: NodeJS.ProcessEnv, moves: () => Promise<boolean> = async () => true) {
  const clock = new FakeClock()
  const told: string[] = []
  const notify = async (state: string) => void told.push(state)
  const manager = createServiceManager({ env, clock, log: silentLog, moves, notify })
  const pass = (time: number) => clock.advance(time)
  return { manager, told, pass }
}

test('nothing is told where nobody listens', async () => {
  const { manager, told, pass } = service({ WATCHDOG_USEC: '60000000' })
  manager.ready()
  await pass(5 * MINUTE)
  manager.stopping()
  assert.deepEqual(told, [])
})

test('without a watchdog it says that it is ready and that it stops', async () => {
  const { manager, told, pass } = service(SOCKET)
  manager.ready()
  await pass(5 * MINUTE)
  manager.stopping()
  assert.deepEqual(told, ['READY=1', 'STOPPING=1'])
})

test('the watchdog is fed twice in its time, and no more once it stops', async () => {
  const { manager, told, pass } = service(WATCHED)
  manager.ready()
  await pass(2 * MINUTE)
  manager.stopping()
  await pass(2 * MINUTE)
  assert.deepEqual(told, ['READY=1', ...Array(4).fill('WATCHDOG=1'), 'STOPPING=1'])
})

test('a watchdog for another process is not fed', async () => {
  const { manager, told, pass } = service({ ...WATCHED, WATCHDOG_PID: '1' })
  manager.ready()
  await pass(2 * MINUTE)
  assert.deepEqual(told, ['READY=1'])
})

test('a gateway that does not answer leaves the watchdog hungry', async () => {
  const { manager, told, pass } = service(WATCHED, async () => {
    throw new Error('no answer for 15 s')
  })
  manager.ready()
  await pass(2 * MINUTE)
  assert.deepEqual(told, ['READY=1'])
})

test('a stage that is stuck is given ten minutes, and as long again after it moved', async () => {
  let moves = false
  const { manager, told, pass } = service(WATCHED, async () => moves)
  manager.ready()
  await pass(20 * MINUTE)
  assert.equal(told.length - 1, 19)
  moves = true
  await pass(MINUTE)
  assert.equal(told.length - 1, 21)
})
