import assert from 'node:assert/strict'
import { readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { test } from 'node:test'
import { Authentication } from '../../gateway/broker/authentication.ts'
import { DEFAULT_LIMITS } from '../../gateway/broker/options.ts'
import {
  formatHash,
  hashPassword,
  isUserName,
  parseHash,
  readPasswordFile,
  verifyPassword,
  writePasswordFile,
} from '../../gateway/broker/passwords.ts'
import { BAD_CREDENTIALS, NOT_AUTHORIZED } from '../../gateway/broker/reasons.ts'
import { FakeClock } from '../support/clock.ts'
import { temporaryDirectory } from './support.ts'

const arrival = { address: '192.0.2.1', certificateUser: undefined, mayBeAnonymous: false }

test('a hash survives the file and verifies only its password', async () => {
  const file = join(temporaryDirectory(), 'users')
  await writePasswordFile(file, new Map([['ann', await hashPassword('pässword')]]))
  assert.equal(statSync(file).mode & 0o777, 0o600)
  assert.deepEqual(readdirSync(dirname(file)), ['users'])
  assert.match(readFileSync(file, 'utf8'), /^ann:scrypt\$16384\$8\$1\$[\w+/=]+\$[\w+/=]+\n$/)
  const hash = (await readPasswordFile(file)).get('ann')
  assert.ok(hash)
  assert.equal(await verifyPassword('pässword', hash), true)
  assert.equal(await verifyPassword('password', hash), false)
  assert.equal(formatHash(hash), formatHash(parseHash(formatHash(hash)) ?? hash))
})

test('the same password has another hash each time', async () => {
  assert.notEqual(formatHash(await hashPassword('x')), formatHash(await hashPassword('x')))
})

test('hashes that are damaged, weak or too costly are none', async () => {
  const good = formatHash(await hashPassword('x'))
  assert.ok(parseHash(good))
  for (const bad of [
    '',
    'plain',
    good.replace('scrypt', 'bcrypt'),
    good.replace('16384', '16383'),
    good.replace('16384', '1073741824'),
    good.replace('$8$', '$0$'),
    good.replace('$8$1$', '$8$1000$'),
    good.slice(0, good.lastIndexOf('$')),
    `${good.slice(0, good.lastIndexOf('$'))}$AAAA`,
    `${good}$AAAA`,
  ])
    assert.equal(parseHash(bad), null, bad)
})

test('a bad line is named with its number, comments and empty lines are not', async () => {
  const file = join(temporaryDirectory(), 'users')
  writeFileSync(file, `# people\n\nann:${formatHash(await hashPassword('x'))}\r\nbob:secret\n`)
  await assert.rejects(readPasswordFile(file), { code: 'SLUICE_PASSWORD_FILE', message: /users:4: / })
  await assert.rejects(readPasswordFile(`${file}-absent`), { code: 'SLUICE_PASSWORD_FILE', message: /absent/ })
})

test('names that would break the file are refused', () => {
  for (const good of ['ann', 'sensor-7', 'Jörg', 'a b']) assert.ok(isUserName(good), good)
  for (const bad of ['', 'a:b', 'a\nb', ' a', '#a', 'x'.repeat(257)]) assert.ok(!isUserName(bad), bad)
})

test('a password that was verified is not verified again', async () => {
  const authentication = new Authentication(
    new FakeClock(),
    DEFAULT_LIMITS,
    new Map([['ann', await hashPassword('pw')]]),
  )
  const logIn = () => authentication.verify(arrival, 'ann', Buffer.from('pw'))
  await logIn()
  const start = performance.now()
  for (let i = 0; i < 500; i++) assert.equal((await logIn()).ok, true)
  // 500 times scrypt would be over ten seconds.
  assert.ok(performance.now() - start < 2_000)
  authentication.replaceUsers(new Map([['ann', await hashPassword('new')]]))
  assert.equal((await logIn()).ok, false)
})

test('a storm of log-ins of one user costs one verification', async () => {
  const authentication = new Authentication(
    new FakeClock(),
    DEFAULT_LIMITS,
    new Map([['ann', await hashPassword('pw')]]),
  )
  const start = performance.now()
  const verdicts = await Promise.all(
    Array.from({ length: 150 }, () => authentication.verify(arrival, 'ann', Buffer.from('pw'))),
  )
  assert.ok(verdicts.every(({ ok }) => ok))
  assert.ok(performance.now() - start < 3_000)
})

test('after too many failures an address is refused unseen for a while, a remembered password still passes', async () => {
  const clock = new FakeClock()
  const limits = { ...DEFAULT_LIMITS, failedLogins: 3 }
  const users = new Map([['ann', await hashPassword('pw')]])
  const authentication = new Authentication(clock, limits, users)
  const logIn = (password: string, address = arrival.address) =>
    authentication.verify({ ...arrival, address }, 'ann', Buffer.from(password))
  assert.equal((await logIn('pw')).ok, true)
  for (let i = 0; i < 3; i++)
    assert.deepEqual(await logIn(`${i}`), { ok: false, code: BAD_CREDENTIALS, reason: 'bad_credentials' })
  assert.deepEqual(await logIn('3'), { ok: false, code: NOT_AUTHORIZED, reason: 'login_rate' })
  assert.equal((await logIn('pw')).ok, true)
  assert.deepEqual(await logIn('4', '192.0.2.2'), { ok: false, code: BAD_CREDENTIALS, reason: 'bad_credentials' })
  await clock.advance(60_000)
  assert.deepEqual(await logIn('5'), { ok: false, code: BAD_CREDENTIALS, reason: 'bad_credentials' })
})

test('a name without configured users is no name', async () => {
  const authentication = new Authentication(new FakeClock(), DEFAULT_LIMITS, undefined)
  const anonymous = { ...arrival, mayBeAnonymous: true }
  assert.deepEqual(await authentication.verify(anonymous, 'admin', Buffer.from('x')), { ok: true, user: undefined })
  assert.equal((await authentication.verify(arrival, 'admin', Buffer.from('x'))).ok, false)
})

test('an unknown user takes as long as a wrong password', async () => {
  const authentication = new Authentication(
    new FakeClock(),
    { ...DEFAULT_LIMITS, failedLogins: 100 },
    new Map([['ann', await hashPassword('pw')]]),
  )
  const time = async (user: string) => {
    const start = performance.now()
    for (let i = 0; i < 4; i++) await authentication.verify(arrival, user, Buffer.from(`wrong ${i}`))
    return performance.now() - start
  }
  const [known, unknown] = [await time('ann'), await time('bob')]
  assert.ok(unknown > known / 4, `${unknown} ms against ${known} ms`)
})
