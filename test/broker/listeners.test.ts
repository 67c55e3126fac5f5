import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { copyFileSync, readFileSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { test } from 'node:test'
import { connect } from 'node:tls'
import { connectAsync } from 'mqtt'
import { WebSocket } from 'ws'
import { createBroker } from '../../gateway/broker/embedded.ts'
import type { BrokerOptions } from '../../gateway/broker/options.ts'
import { hashPassword, writePasswordFile } from '../../gateway/broker/passwords.ts'
import { systemClock } from '../../gateway/clock.ts'
import { StartError } from '../../gateway/errors.ts'
import { FakeClock } from '../support/clock.ts'
import { connectPacket, publishPacket, RawClient, subscribePacket } from './raw-client.ts'
import { bounded, FakeIntake, missing, run, startBroker, TestLog, temporaryDirectory, until } from './support.ts'

const noOpenssl = { skip: missing('openssl') }
const noMosquitto = { skip: missing('mosquitto_pub') || missing('openssl') }

/** An authority, a server certificate for loopback, and a client's with the common name `sensor-7`. */
function makeCertificates() {
  const directory = temporaryDirectory()
  const file = (name: string) => join(directory, name)
  const openssl = (...args: string[]) => execFileSync('openssl', args, { stdio: 'pipe', cwd: directory })
  const key = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes']
  openssl('req', '-x509', ...key, '-keyout', 'ca.key', '-out', 'ca.pem', '-subj', '/CN=Test Authority', '-days', '2')
  writeFileSync(file('san'), 'subjectAltName=IP:127.0.0.1,DNS:localhost\n')
  for (const [name, subject] of [
    ['server', '/CN=localhost'],
    ['client', '/CN=sensor-7'],
  ] as const) {
    openssl('req', ...key, '-keyout', `${name}.key`, '-out', `${name}.csr`, '-subj', subject)
    const sign = ['x509', '-req', '-in', `${name}.csr`, '-CA', 'ca.pem', '-CAkey', 'ca.key', '-CAcreateserial']
    openssl(...sign, '-out', `${name}.pem`, '-days', '2', '-extfile', 'san')
  }
  openssl('req', '-x509', ...key, '-keyout', 'other.key', '-out', 'other.pem', '-subj', '/CN=sensor-7', '-days', '2')
  return { file, cert: file('server.pem'), key: file('server.key'), ca: file('ca.pem') }
}

async function startError(options: Partial<BrokerOptions>, code: string, message: RegExp) {
  const broker = createBroker({ listen: [], ...options }, new FakeIntake(), { clock: systemClock, log: new TestLog() })
  await assert.rejects(broker.listen(), (error) => {
    assert.ok(error instanceof StartError)
    assert.equal(error.code, code)
    assert.match(error.message, message)
    assert.ok(!error.message.includes('\n'))
    return true
  })
}

test('a port in use is said in one line', async (t) => {
  const server = createServer().listen(0, '127.0.0.1')
  t.after(() => server.close())
  await bounded(new Promise((resolve) => server.once('listening', resolve)))
  const bound = server.address()
  const port = typeof bound === 'object' ? bound?.port : 0
  await startError(
    { listen: ['127.0.0.1:0', `127.0.0.1:${port}`] },
    'SLUICE_PORT_IN_USE',
    new RegExp(`127.0.0.1:${port}`),
  )
})

test('an address that is none, or not this machine’s, is said in one line', async () => {
  await startError({ listen: ['nonsense'] }, 'SLUICE_ADDRESS', /host:port/)
  await startError({ listen: ['127.0.0.1:99999'] }, 'SLUICE_ADDRESS', /99999/)
  await startError({ listen: ['203.0.113.7:0'], anonymous: true }, 'SLUICE_ADDRESS', /no such address/)
})

test('a certificate that cannot be read or used is said in one line', noOpenssl, async () => {
  const { file, cert, key } = makeCertificates()
  const listenTls = ['127.0.0.1:0']
  const tls = { cert, key, clientCertificates: 'none' as const }
  await startError({ listenTls }, 'SLUICE_CERT_UNREADABLE', /needs a certificate/)
  await startError({ listenTls, tls: { ...tls, cert: file('absent') } }, 'SLUICE_CERT_UNREADABLE', /absent/)
  await startError({ listenTls, tls: { ...tls, key: file('other.key') } }, 'SLUICE_CERT_UNREADABLE', /cannot be used/)
  await startError(
    { listenTls, tls: { ...tls, clientCertificates: 'required' } },
    'SLUICE_CERT_UNREADABLE',
    /authority/,
  )
})

test('listening wider than loopback needs credentials or anonymous: true', async (t) => {
  await startError({ listen: ['0.0.0.0:0'] }, 'SLUICE_MQTT_OPEN', /anonymous: true/)
  await startError({ listen: ['127.0.0.1:0', '[::]:0'] }, 'SLUICE_MQTT_OPEN', /\[::\]/)
  const { port } = await startBroker(t, { listen: ['0.0.0.0:0'], anonymous: true })
  await RawClient.open(t, port)
})

test('several addresses listen, IPv6 too', async (t) => {
  const { ports } = await startBroker(t, { listen: ['127.0.0.1:0', 'localhost:0', '[::1]:0'] })
  assert.deepEqual(Object.keys(ports), ['mqtt', 'mqtt_2', 'mqtt_3'])
  // A name may stand for either family.
  const client = await connectAsync({ host: 'localhost', port: ports.mqtt_2 ?? 0, reconnectPeriod: 0 })
  await client.endAsync()
})

test('mosquitto publishes and subscribes over TCP at every QoS', noMosquitto, async (t) => {
  const { port, intake, broker } = await startBroker(t)
  const subscriber = run('mosquitto_sub', '-p', `${port}`, '-t', '#', '-q', '2', '-v', '-C', '4', '-W', '10')
  await until(() => broker.hasSubscriber('plain'), 'mosquitto_sub')
  for (const qos of ['0', '1', '2']) {
    const published = await run('mosquitto_pub', '-p', `${port}`, '-t', `telemetry/q${qos}`, '-m', `m${qos}`, '-q', qos)
    assert.equal(published.code, 0, published.stderr)
  }
  await run('mosquitto_pub', '-p', `${port}`, '-t', 'plain', '-m', 'other', '-q', '1')
  assert.deepEqual((await subscriber).stdout.trim().split('\n'), [
    'telemetry/q0 m0',
    'telemetry/q1 m1',
    'telemetry/q2 m2',
    'plain other',
  ])
  assert.deepEqual(
    intake.taken.map(({ payload, qos }) => `${payload} ${qos}`),
    ['m0 0', 'm1 1', 'm2 2'],
  )
})

test('mosquitto publishes over TLS, and does without a good certificate not', noMosquitto, async (t) => {
  const { file, cert, key, ca } = makeCertificates()
  const tls = { cert, key, ca, clientCertificates: 'required' as const }
  const { ports, intake, broker, log } = await startBroker(t, { listen: [], listenTls: ['127.0.0.1:0'], tls })
  const publish = (...more: string[]) =>
    run('mosquitto_pub', '-p', `${ports.mqtts}`, '--cafile', ca, '-t', 'telemetry/d', '-m', 'x', '-q', '1', ...more)
  const good = await publish('--cert', file('client.pem'), '--key', file('client.key'))
  assert.equal(good.code, 0, good.stderr)
  assert.equal(intake.taken.length, 1)
  assert.notEqual((await publish()).code, 0)
  assert.notEqual((await publish('--cert', file('other.pem'), '--key', file('other.key'))).code, 0)
  assert.equal(intake.taken.length, 1)
  await until(() => broker.status().connections === 0)
  const { text, fields } = log.lines.find(({ level }) => level === 'warn') ?? {}
  assert.deepEqual([text, fields?.reason, fields?.address], ['mqtt client refused', 'tls', '127.0.0.1'])
  assert.equal(fields?.error, 'peer did not return a certificate')
})

test('with a certificate the user is its common name', noMosquitto, async (t) => {
  const { file, cert, key, ca } = makeCertificates()
  const { ports, broker, log } = await startBroker(t, {
    listen: [],
    listenTls: ['127.0.0.1:0'],
    anonymous: false,
    tls: { cert, key, ca, clientCertificates: 'optional' },
    acl: [{ user: 'sensor-7', subscribe: ['command/{user}/#'] }],
  })
  const subscribe = (filter: string, ...more: string[]) =>
    run('mosquitto_sub', '-p', `${ports.mqtts}`, '--cafile', ca, '-t', filter, '-C', '1', '-W', '8', ...more)
  const names = ['--cert', file('client.pem'), '--key', file('client.key'), '-u', 'somebody-else']
  const waiting = subscribe('command/sensor-7/x', ...names)
  await until(() => broker.hasSubscriber('command/sensor-7/x'))
  assert.deepEqual(broker.connections()[0]?.user, 'sensor-7')
  await broker.publish('command/sensor-7/x', Buffer.from('go'))
  assert.equal((await waiting).stdout, 'go\n')
  const anonymous = await subscribe('command/sensor-7/x')
  assert.match(anonymous.stderr, /not authori[sz]ed/i)
  await subscribe('command/sensor-7/x', '--cert', file('other.pem'), '--key', file('other.key'))
  assert.equal(broker.status().refused.client_certificate, 1)
  const { fields } = log.lines.find((line) => line.fields.reason === 'client_certificate') ?? {}
  assert.equal(fields?.error, 'DEPTH_ZERO_SELF_SIGNED_CERT')
})

for (const secure of [false, true])
  test(`clients come over WebSocket${secure ? ' with TLS' : ''} too`, secure ? noOpenssl : {}, async (t) => {
    const options: Partial<BrokerOptions> = { listen: [] }
    let ca = ''
    if (secure) {
      const made = makeCertificates()
      ca = made.ca
      Object.assign(options, {
        listenWebSocketTls: ['127.0.0.1:0'],
        tls: { cert: made.cert, key: made.key, clientCertificates: 'none' },
      })
    } else Object.assign(options, { listenWebSocket: ['127.0.0.1:0'] })
    const { ports, intake } = await startBroker(t, options)
    const url = secure ? `wss://localhost:${ports.wss}` : `ws://127.0.0.1:${ports.ws}/mqtt`
    const client = await connectAsync(url, { reconnectPeriod: 0, ...(secure ? { ca: readFileSync(ca) } : {}) })
    t.after(() => client.end(true))
    const received = new Promise<string>((resolve) =>
      client.on('message', (topic, payload) => resolve(`${topic} ${payload.length}`)),
    )
    await client.subscribeAsync('telemetry/#', { qos: 1 })
    await client.publishAsync('telemetry/d', 'w'.repeat(300_000), { qos: 1 })
    assert.equal(await bounded(received), 'telemetry/d 300000')
    assert.equal(intake.taken[0]?.payload.length, 300_000)
    await client.endAsync()
  })

test('WebSocket without the mqtt subprotocol, and plain HTTP, are turned away', async (t) => {
  const { ports } = await startBroker(t, { listen: [], listenWebSocket: ['127.0.0.1:0'] })
  assert.equal((await fetch(`http://127.0.0.1:${ports.ws}/`)).status, 426)
  const socket = new WebSocket(`ws://127.0.0.1:${ports.ws}/`)
  await bounded(new Promise((resolve) => socket.once('error', resolve)))
})

test('connections beyond the limits are refused and counted', async (t) => {
  const limits = { connections: 5, connectionsPerAddress: 3 }
  const { port, broker, log } = await startBroker(t, { limits })
  const clients = await Promise.all([1, 2, 3].map(() => RawClient.open(t, port)))
  for (let i = 0; i < 3; i++) await new RawClient(t, port).closed
  assert.equal(broker.status().refused.connections_per_address, 3)
  assert.equal(log.lines.filter(({ fields }) => fields.reason === 'connections_per_address').length, 1)
  clients[0]?.socket.destroy()
  await until(() => broker.status().connections === 2)
  await RawClient.open(t, port)
})

test('connections faster than the rate are refused, and the rate recovers', async (t) => {
  const clock = new FakeClock()
  const { port, broker } = await startBroker(t, { limits: { connectRate: 5 } }, clock)
  for (let i = 0; i < 5; i++) await RawClient.open(t, port)
  await new RawClient(t, port).closed
  assert.equal(broker.status().refused.connect_rate, 1)
  await clock.advance(1000)
  await RawClient.open(t, port)
})

test('users log in with the password file, which is read again when it changes', async (t) => {
  const file = join(temporaryDirectory(), 'users')
  const ann = await hashPassword('secret')
  await writePasswordFile(file, new Map([['ann', ann]]))
  const clock = new FakeClock()
  const { port, broker, log } = await startBroker(
    t,
    { passwordFile: file, acl: [{ user: 'ann', publish: ['#'] }] },
    clock,
  )
  const connack = async (user?: string, password?: string) => {
    const client = new RawClient(t, port)
    client.send(
      connectPacket({ ...(user === undefined ? {} : { user }), ...(password === undefined ? {} : { password }) }),
    )
    return (await client.read(4))[3]
  }
  assert.equal(await connack('ann', 'secret'), 0)
  assert.equal(await connack('ann', 'wrong'), 4)
  assert.equal(await connack('bob', 'secret'), 4)
  assert.equal(await connack('ann'), 4)
  assert.equal(await connack(), 5)
  assert.equal(broker.status().refused.bad_credentials, 3)
  const removed = await RawClient.open(t, port, { user: 'ann', password: 'secret' })
  await writePasswordFile(file, new Map([['bob', ann]]))
  await clock.advance(2_000)
  await until(() => log.lines.some(({ text }) => text === 'password file read again'))
  await removed.closed
  assert.equal(await connack('bob', 'secret'), 0)
  assert.equal(await connack('ann', 'secret'), 4)
  writeFileSync(file, 'broken\n')
  await clock.advance(2_000)
  await until(() => log.lines.some(({ text }) => text.includes('not usable')))
  assert.equal(await connack('bob', 'secret'), 0)
})

test('a user may do what the rules say, and a reload ends what they no longer say', async (t) => {
  const file = join(temporaryDirectory(), 'users')
  await writePasswordFile(file, new Map([['ann', await hashPassword('pw')]]))
  const options: BrokerOptions = {
    listen: ['127.0.0.1:0'],
    passwordFile: file,
    acl: [{ user: 'ann', publish: ['telemetry/{user}'], subscribe: ['a/#', 'b'] }],
  }
  const { port, broker, intake, log } = await startBroker(t, options)
  const login = { user: 'ann', password: 'pw' }
  const ann = await RawClient.open(t, port, login)
  ann.send(publishPacket('telemetry/ann', 'mine'))
  await intake.count(1)
  ann.send(subscribePacket(1, ['a/b', 1], ['#', 0], ['b', 0]))
  assert.deepEqual((await ann.read(7)).subarray(4), Buffer.from([1, 128, 0]))
  for (const topic of ['telemetry/bob', 'other', '$SYS/x']) {
    const denied = await RawClient.open(t, port, login)
    denied.send(publishPacket(topic, 'not mine'))
    await denied.closed
  }
  assert.equal(intake.taken.length, 1)
  assert.equal(broker.status().refused.publish_denied, 3)
  assert.ok(log.lines.some(({ fields }) => fields.topic === 'telemetry/bob'))
  await broker.reload({ ...options, acl: [{ user: 'ann', subscribe: ['b'] }] })
  await ann.closed
  assert.equal(broker.status().refused.subscription_denied, 1)
})

test('a denied filter in a SUBSCRIBE is not kept in a persistent session either', async (t) => {
  const { port, broker } = await startBroker(t, { acl: [{ subscribe: ['open/#'] }] })
  const session = { client: 'c', clean: false }
  const first = await RawClient.open(t, port, session)
  first.send(subscribePacket(1, ['open/#', 1], ['closed/#', 1]))
  await first.read(6)
  first.socket.destroy()
  await until(() => broker.status().connections === 0)
  await broker.publish('closed/x', Buffer.from('secret'), { qos: 1 })
  const again = new RawClient(t, port).send(connectPacket(session))
  await again.read(4)
  await again.ping()
})

test('the hook refuses what it refuses, wills included', async (t) => {
  const { port, intake, broker } = await startBroker(t, {
    authorizePublish: ({ client }, topic) => !topic.startsWith('telemetry/') || topic === `telemetry/${client}`,
  })
  const client = await RawClient.open(t, port, { client: 'd1', will: { topic: 'telemetry/d2', payload: 'forged' } })
  client.send(publishPacket('telemetry/d1', 'good'), publishPacket('telemetry/d2', 'bad'))
  await client.closed
  await until(() => broker.status().connections === 0)
  assert.deepEqual(
    intake.taken.map(({ payload }) => payload),
    ['good'],
  )
})

test('quiesce reads no more but still acknowledges', async (t) => {
  const { port, intake, broker } = await startBroker(t)
  intake.instant = false
  const client = await RawClient.open(t, port)
  client.send(publishPacket('telemetry/d', 'x', { qos: 1 }))
  await intake.count(1)
  await broker.quiesce()
  client.send(publishPacket('telemetry/d', 'late', { qos: 1, id: 2 }))
  intake.commit()
  assert.deepEqual(await client.read(4), Buffer.from([0x40, 2, 0, 1]))
  await broker.close()
  await client.closed
  assert.equal(intake.taken.length, 1)
})

test('certificates are read again on reload', noOpenssl, async (t) => {
  const made = makeCertificates()
  const tls = { cert: made.file('now.pem'), key: made.file('now.key'), clientCertificates: 'none' as const }
  copyFileSync(made.cert, tls.cert)
  copyFileSync(made.key, tls.key)
  const options: BrokerOptions = { listen: [], listenTls: ['127.0.0.1:0'], tls }
  const { ports, broker } = await startBroker(t, options)
  const name = () =>
    new Promise<string | undefined>((resolve, reject) => {
      const socket = connect({ port: ports.mqtts ?? 0, host: '127.0.0.1', rejectUnauthorized: false }, () => {
        const { subject } = socket.getPeerCertificate()
        socket.destroy()
        resolve(String(subject.CN))
      })
      socket.on('error', reject)
    })
  assert.equal(await bounded(name()), 'localhost')
  copyFileSync(made.file('other.pem'), tls.cert)
  await assert.rejects(broker.reload(options), { code: 'SLUICE_CERT_UNREADABLE' })
  assert.equal(await bounded(name()), 'localhost')
  copyFileSync(made.file('other.key'), tls.key)
  await broker.reload(options)
  assert.equal(await bounded(name()), 'sensor-7')
})
