import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { readRuntime, writeRuntime } from '../../gateway/cli/runtime.ts'
import { systemClock } from '../../gateway/clock.ts'
import { type Fake, startFake } from './fake-actions.ts'
import { silentLog, sluice } from './sluice.ts'

const data = mkdtempSync(join(tmpdir(), 'sluice-cli-'))
after(() => rmSync(data, { recursive: true, force: true }))
const on = (...args: string[]) => [...args, '--data', data]

describe('with a running gateway', () => {
  let fake: Fake
  before(async () => {
    fake = await startFake(data, systemClock, silentLog)
  })
  after(() => fake.stop())

  test('status is one screen, aligned, without colour', async () => {
    const { out, code } = await sluice(on('status'))
    assert.equal(code, 0)
    assert.equal(
      out,
      `site-7  sluice 0.1.0  up 1 h 02 m  pid 42
config  built-in defaults
data    /var/lib/sluice
ports   mqtt 1883, http 8080
memory  80 MB    devices  2
disk    12 MB written, 30 MB by the whole device, a new card lasts 12 years so

STAGE         IN  OUT  IN/S  OUT/S  BYTES  WAITING    LAG  ERRORS
ingest mqtt  100   98     0      0  20 kB        0      -  dropped 2
window        98    4     0      0    0 B        3  1.5 s  -

SOURCE  PLUGIN  STATE    WHY
mqtt    mqtt    running  -

UPSTREAM  PLUGIN  STATE    WAITING   BYTES  WHY
cloud     mqtt    waiting       12  3.4 kB  connection refused

! a restart is needed: mqtt.listen changed`,
    )
  })

  test('--json prints what the API says', async () => {
    assert.equal(JSON.parse((await sluice(on('status', '--json'))).out).gateway, 'site-7')
    assert.equal(JSON.parse((await sluice(on('devices', '--json'))).out).total, 2)
    assert.equal(JSON.parse((await sluice(on('outbox', '--json'))).out).sinks[0].name, 'cloud')
    assert.equal(JSON.parse((await sluice(on('health', '--json'))).out).status, 'ok')
  })

  test('devices are listed, or those that match', async () => {
    assert.equal(
      (await sluice(on('devices'))).out,
      `DEVICE   SOURCE  READINGS  LAST TIME                 LAST READING
dvc3001  mqtt           7  2026-11-23T00:00:00.000Z  cpu=51 state=NSW
dvc3002  mqtt           7  2026-11-23T00:00:00.000Z  cpu=51 state=NSW`,
    )
    assert.doesNotMatch((await sluice(on('devices', 'dvc3002'))).out, /dvc3001/)
  })

  test('outbox shows what waits; its subcommands retry, skip and export', async () => {
    const shown = await sluice(on('outbox'))
    assert.match(shown.out, /^4\.1 kB of 1\.0 GB used; when full: drop_oldest/)
    assert.match(shown.out, /cloud +waiting +result +12 +3\.4 kB/)
    assert.match(shown.out, /! cloud: connection refused/)
    assert.equal((await sluice(on('outbox', 'retry', 'cloud'))).out, 'cloud is tried now')
    assert.match(
      (await sluice(['outbox', '--data', data, 'skip', 'cloud', '--through', '5'])).out,
      /^5 records skipped/,
    )
    const file = join(data, 'copy.ndjson')
    assert.equal((await sluice(on('outbox', 'export', 'cloud', '--class', 'event', '--output', file))).code, 0)
    assert.match(readFileSync(file, 'utf8'), /^\{"seq":1,"of":"event"\}\n\{"seq":2/)
    const missing = await sluice(on('outbox', 'retry', 'nowhere'))
    assert.deepEqual([missing.code, missing.err], [1, 'sluice: no upstream is named nowhere (SLUICE_UNKNOWN_UPSTREAM)'])
  })

  test('health is 0 while the gateway makes progress and 1 when it does not', async () => {
    const well = await sluice(on('health'))
    assert.deepEqual([well.code, well.err], [0, ''])
    assert.match(well.out, /^ok, up \d+(\.\d)? m?s$/)
    fake.api.troubled = 'the disk is full'
    const stuck = await sluice(on('health'))
    fake.api.troubled = undefined
    assert.deepEqual([stuck.code, stuck.err], [1, 'sluice: stuck: the disk is full'])
  })

  test('tail shows readings and windows as they come, harmlessly', async () => {
    const time = '2026-11-23T07:44:00.000Z'
    const end = '2026-11-23T07:44:10.000Z'
    const key = { device: 'dvc3001' }
    const fields = { cpu: { count: 20, min: 51, max: 99, mean: 74.5 }, state: { count: 20, values: { NSW: 20 } } }
    const publishing = setInterval(() => {
      fake.api.live.window({ kind: 'window', window: 'per-device', key, start: time, end, count: 20, fields })
      fake.api.live.alert({
        kind: 'alert',
        rule: 'hot',
        key: { device: 'dvc\x1b[31m' },
        state: 'raised',
        severity: 'high',
        time,
        value: 99,
      })
    }, 20)
    const { out, code } = await sluice(on('tail', '-n', '2'))
    const json = await sluice(on('tail', 'dvc3001', '--types', 'window,alert', '--json', '-n', '1'))
    clearInterval(publishing)
    assert.equal(code, 0)
    assert.equal(
      out,
      `07:44:00.000–07:44:10.000 window per-device device=dvc3001 count=20  cpu 74.5 (51…99)  state NSW=20
07:44:00.000 alert hot device=dvc\\u001b[31m raised high 99`,
    )
    assert.equal(JSON.parse(json.out).event, 'window')
  })

  test('send shows each state and exits 0 only when the device acknowledged', async () => {
    for (const [last, code] of [
      ['acknowledged', 0],
      ['failed', 1],
    ] as const) {
      const id = `id-${last}`
      const onLine = (line: string) => {
        if (!line.includes('accepted')) return
        for (const state of ['sent', last] as const)
          fake.api.live.command({
            kind: 'command',
            id,
            device: 'pump',
            command: 'open',
            state,
            time: '2026-11-23T00:00:01.000Z',
            by: 'api',
            result: 7,
          })
      }
      const ran = await sluice(on('send', 'pump', 'open', '{"rate":12}', '--id', id), { onLine })
      assert.equal(ran.code, code)
      assert.equal(ran.out, `00:00:00.000 ${id} accepted\n00:00:01.000 ${id} sent 7\n00:00:01.000 ${id} ${last} 7`)
    }
    assert.equal((await sluice(on('send', 'pump', 'open', '--id', 'x', '--no-wait'))).code, 0)
    assert.equal((await sluice(on('send', 'pump', 'open', '{rate'))).code, 2)
  })

  test('send shows each state once and in order, also when the device answers before the gateway does', async () => {
    const { sendCommand, live } = fake.api
    fake.api.sendCommand = async (request, by) => {
      const { command } = await sendCommand(request, by)
      const { id, device } = command
      for (const state of ['sent', 'acknowledged'] as const)
        live.command({ kind: 'command', id, device, command: 'open', state, time: '2026-11-23T00:00:01.000Z', by })
      return { repeated: false, command: { ...command, state: 'acknowledged' } }
    }
    const { code, out } = await sluice(on('send', 'pump', 'open', '--id', 'quick'))
    fake.api.sendCommand = sendCommand
    assert.deepEqual([code, out.replace(/\d\d:\S+ quick /g, '')], [0, 'accepted\nsent\nacknowledged'])
  })
})

test('TLS is followed by the certificate that the gateway wrote down, and by no other', {
  skip: hasOpenssl(),
}, async () => {
  const [cert, other] = [makeCertificate('one'), makeCertificate('two')]
  const place = mkdtempSync(join(tmpdir(), 'sluice-tls-'))
  const fake = await startFake(place, systemClock, silentLog, { tls: cert })
  assert.equal((await sluice(['health', '--data', place])).code, 0)
  const runtime = await readRuntime(place)
  assert.ok(runtime.http)
  await writeRuntime(place, { ...runtime, http: { ...runtime.http, fingerprint: 'ab'.repeat(32) } })
  const wrong = await sluice(['status', '--data', place])
  assert.deepEqual([wrong.code, /another certificate/.test(wrong.err)], [1, true])
  await fake.stop()
  rmSync(place, { recursive: true })
  assert.notEqual(cert.cert, other.cert)
})

test('runtime.json is for its owner only', async () => {
  await writeRuntime(data, { pid: 1, started: '', ports: {}, http: { address: '127.0.0.1', port: 1, secret: 's' } })
  assert.equal(statSync(join(data, 'runtime.json')).mode & 0o777, 0o600)
  const dead = await sluice(on('status'))
  assert.deepEqual(
    [dead.code, dead.err],
    [69, `sluice: no gateway runs on ${data}: it did not stop cleanly (SLUICE_NOT_RUNNING)`],
  )
  rmSync(join(data, 'runtime.json'))
})

test('without a gateway the answer is one line and 69, for health 1', async () => {
  for (const args of [['status'], ['devices'], ['tail'], ['send', 'a', 'b'], ['outbox']]) {
    const { code, err, out } = await sluice(on(...args))
    assert.deepEqual([code, out, err], [69, '', `sluice: no gateway runs on ${data} (SLUICE_NOT_RUNNING)`])
  }
  assert.equal((await sluice(on('health'))).code, 1)
})

test('check lists every mistake with its place and exits 78', async () => {
  const file = join(data, 'bad.yaml')
  writeFileSync(file, 'tumbing')
  const { code, out } = await sluice(['check', '--config', file])
  assert.equal(code, 78)
  assert.equal(out, `${file}:1:3: unknown key \`tumbing\`, did you mean \`tumbling\`?\n${file}:2:1: another`)
  assert.equal(JSON.parse((await sluice(['check', '--config', file, '--json'])).out).mistakes.length, 2)
  assert.equal((await sluice(['status', '--config', file])).code, 78)
  assert.equal((await sluice(['status', '--config', file, '--data', data])).code, 69)
  writeFileSync(file, 'good')
  assert.deepEqual(await sluice(['check', '--config', file]), { code: 0, out: `${file}: no mistakes`, err: '' })
})

test('audit exits 1 when a ledger does not balance or a file is damaged', async () => {
  const good = await sluice(['audit', '--data', '/good'])
  assert.equal(good.code, 0)
  assert.match(good.out, /mqtt +100 +98 +2 +0 +json 2 +yes/)
  assert.match(good.out, /every ledger balances, every file is intact$/)
  const unbalanced = await sluice(['audit', '--data', '/unbalanced'])
  assert.deepEqual([unbalanced.code, /does not balance/.test(unbalanced.out)], [1, true])
  const damaged = await sluice(['audit', '--data', '/damaged'])
  assert.deepEqual([damaged.code, /frame 7 is damaged/.test(damaged.out)], [1, true])
})

test('passwd adds and changes a line in a file only its owner reads', async () => {
  const file = join(data, 'passwords')
  const set = (user: string, input: string) => sluice(['passwd', '--file', file, user], { input })
  assert.equal((await set('pump', 'first\n')).code, 0)
  await set('valve', 'other\n')
  assert.match((await set('pump', 'second')).err, /changed pump/)
  assert.equal(readFileSync(file, 'utf8'), 'pump:hash-of-second\nvalve:hash-of-other\n')
  assert.equal(statSync(file).mode & 0o777, 0o600)
  assert.equal((await sluice(['passwd', 'pump'], { input: 'x\n' })).out, 'pump:hash-of-x')
  assert.equal((await set('a:b', 'x')).code, 2)
  assert.equal((await set('pump', '\n')).code, 2)
})

test('a wrong command line is one line, a hint and 2', async () => {
  for (const args of [['statsu'], ['status', '--wrong'], ['send'], ['demo', '--for', 'soon'], []]) {
    const { code, out } = await sluice(args)
    assert.deepEqual([code, out], [2, ''], args.join(' '))
  }
  const { err } = await sluice(['status', '--wrong'])
  assert.equal(err, "sluice: unknown option '--wrong'\nsee sluice status --help")
  for (const [args, hint] of [
    [['statsu'], /Did you mean status\?/],
    [['outbox', 'retyr', 'cloud'], /did you mean `retry`\?/],
    [['tail', '--types', 'windw'], /did you mean `window`\?/],
    [['devices', '--limit', '-3'], /-3 is no whole number from 1 on/],
    [['tail', '--count', 'many'], /many is no whole number/],
  ] as const) {
    const wrong = await sluice(args)
    assert.equal(wrong.code, 2, args.join(' '))
    assert.match(wrong.err, hint)
  }
})

test('demo is given its time', async () => {
  assert.deepEqual(await sluice(['demo', '--for', '30s']), { code: 0, out: 'demo for 30000 false', err: '' })
})

test('every command explains itself with an example, --config and --data', async () => {
  const help = await sluice(['--help'])
  assert.equal(help.code, 0)
  assert.match(help.out, /69 {2}the gateway does not run/)
  const names = [
    'run',
    'check',
    'demo',
    'status',
    'devices',
    'tail',
    'send',
    'outbox',
    'audit',
    'passwd',
    'health',
    'version',
  ]
  for (const name of names) {
    assert.match(help.out, new RegExp(`^ {2}${name}\\b`, 'm'))
    const { out, code } = await sluice([name, '--help'])
    assert.equal(code, 0)
    for (const part of [/Example:\n {2}\$ /, /--config <file>/, /--data <dir>/]) assert.match(out, part, name)
  }
})

test('version says what runs where', async () => {
  const [said, warning] = (await sluice(['version'])).out.split('\n')
  assert.equal(said, `sluice 0.1.0 (node ${process.version}, ${process.platform} ${process.arch})`)
  assert.equal(warning !== undefined, process.version === 'v20.11.0', 'a Node with known flaws is named')
  assert.equal((await sluice(['--version'])).out, '0.1.0')
})

test('a defect is one line with its code, and a trace on demand', async () => {
  const file = join(data, 'defect.yaml')
  writeFileSync(file, 'defect')
  const args = ['status', '--config', file]
  const plain = await sluice(args)
  assert.deepEqual(
    [plain.code, plain.err],
    [1, 'sluice: unexpected: x is not a function (SLUICE_DEFECT); SLUICE_TRACE=1 shows where'],
  )
  assert.match((await sluice(args, { env: { SLUICE_TRACE: '1' } })).err, /TypeError: x is not a function\n +at /)
})

function hasOpenssl(): string | false {
  try {
    execFileSync('openssl', ['version'], { stdio: 'ignore' })
    return false
  } catch {
    return 'openssl is not installed'
  }
}

function makeCertificate(name: string): { cert: string; key: string } {
  const [cert, key] = [join(data, `${name}.pem`), join(data, `${name}.key`)]
  const args = [
    'req',
    '-x509',
    '-newkey',
    'ec',
    '-pkeyopt',
    'ec_paramgen_curve:prime256v1',
    '-nodes',
    '-days',
    '2',
    '-subj',
    `/CN=${name}`,
  ]
  execFileSync('openssl', [...args, '-keyout', key, '-out', cert], { stdio: 'ignore' })
  return { cert, key }
}
