import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { systemClock } from '../../gateway/clock.ts'
import { createClient } from '../../plugins/coap/client.ts'
import { CHANGED, CREATED, POST } from '../../plugins/coap/codes.ts'
import { texts } from '../../plugins/coap/options.ts'
import type { Request } from '../../plugins/coap/request.ts'
import type { Resource } from '../../plugins/coap/resource.ts'
import { createServer } from '../../plugins/coap/server.ts'
import { bindUdp } from '../../plugins/coap/udp.ts'
import { encodeSenmlCbor } from '../../plugins/lwm2m/senml.ts'
import { LOOPBACK, quick, until } from '../plugins/coap/gateway.ts'
import { runCommand } from '../support/gateway-process.ts'
import { type HttpUpstream, startHttpUpstream } from '../support/http-upstream.ts'
import { eventually } from '../support/within.ts'
import { type Example, startExample } from './example.ts'

let upstream: HttpUpstream
let example: Example
let args: readonly string[]
const closers: (() => Promise<void>)[] = []

before(async () => {
  upstream = await startHttpUpstream('constrained-site')
  const free = '127.0.0.1:0'
  example = await startExample(
    'constrained',
    { cloud: { http: { url: upstream.url }, batch: { age: '50ms' } } },
    {
      SLUICE__SOURCES__COAP__COAP__LISTEN: free,
      SLUICE__SOURCES__COAP__COAP__DTLS__LISTEN: free,
      SLUICE__SOURCES__LWM2M__LWM2M__LISTEN: free,
      SLUICE__SOURCES__LWM2M__LWM2M__DTLS__LISTEN: free,
      SLUICE__SOURCES__LWM2M__LWM2M__AWAKE: '1s',
    },
  )
  args = ['--config', 'examples/constrained/sluice.yaml', '--data', example.data]
})

after(async () => {
  for (const close of closers) await close()
  await example?.stop()
  await upstream?.close()
})

async function client(resources: readonly Resource[] = []) {
  const udp = await bindUdp(LOOPBACK, 'device')
  const server = createServer({ clock: quick, resources })
  server.endpoint.attach(udp)
  closers.push(async () => {
    server.close()
    await udp.close()
  })
  const gateway = udp.peer('127.0.0.1', example.gateway.ports.lwm2m as number)
  const { request } = createClient({ clock: quick, endpoint: server.endpoint })
  return {
    async register(query: readonly string[], links: string) {
      const answer = await request(gateway, {
        code: POST,
        path: 'rd',
        query,
        contentFormat: 40,
        payload: Buffer.from(links),
      })
      assert.equal(answer.code, CREATED)
      return texts(answer.options, 8).join('/')
    },
    async post(path: string, contentFormat?: number, payload?: Buffer) {
      const body = contentFormat === undefined || !payload ? {} : { contentFormat, payload }
      assert.equal((await request(gateway, { code: POST, path, ...body })).code, CHANGED)
    },
  }
}

async function get<T>(path: string): Promise<T> {
  const response = await fetch(`http://127.0.0.1:${example.gateway.ports.http}${path}`)
  return (await response.json()) as T
}

interface CommandShown {
  readonly id: string
  readonly state: string
  readonly reason?: string
  readonly by: string
}

function command(state: string): Promise<CommandShown> {
  return eventually(`a command ${state}`, async () => {
    const { commands } = await get<{ commands: readonly CommandShown[] }>('/api/commands')
    return commands.find((c) => c.state === state)
  })
}

test('a rule on a thermometer’s window switches a lamp that sleeps, as soon as it wakes', {
  timeout: 60_000,
}, async () => {
  const told: Request[] = []
  const lamp = await client([
    {
      path: '3311/0/5850',
      put(request, respond) {
        told.push(request)
        respond({ code: CHANGED })
      },
    },
  ])
  const location = await lamp.register(['ep=lamp-3', 'lt=300', 'lwm2m=1.1', 'b=U', 'Q'], '</1/0>,</3/0>,</3311/0>')
  const thermometer = await client()
  await thermometer.register(['ep=thermo-1', 'lt=300', 'lwm2m=1.1', 'b=U'], '</1/0>,</3/0>')
  interface Shown {
    readonly id: string
    readonly connection?: { readonly state: string; readonly details: Readonly<Record<string, unknown>> }
  }
  const asleep = async () => {
    const { devices } = await get<{ devices: readonly Shown[] }>('/api/devices')
    return devices.find(({ id, connection }) => id === 'lamp-3' && connection?.state === 'asleep')
  }
  const shown = await eventually('the lamp is asleep', asleep)
  const { queue, lifetime, security, objects } = shown.connection?.details ?? {}
  assert.deepEqual([queue, lifetime, security, objects], [true, 300, 'none', '/1/0 /3/0 /3311/0'])

  const start = Math.floor(Date.now() / 10_000) * 10 - 600
  const warm = [0, 4, 8, 13].map((s) => ({ name: '/3303/0/5700', value: s === 13 ? 20 : 31, time: start + s }))
  await thermometer.post('dp', 112, encodeSenmlCbor(warm))
  const waiting = await command('accepted')
  assert.equal(waiting.reason, 'waits for the device to wake (queue mode)')
  assert.match(waiting.by, /too-warm/)
  assert.equal(told.length, 0)

  await lamp.post(location)
  const done = await command('acknowledged')
  assert.equal(done.id, waiting.id)
  assert.equal(told.length, 1)

  // While it is awake, people reach it by the name of a command or by a path.
  const awake = async <T>(work: Promise<T>) => {
    let over = false
    const mark = () => {
      over = true
    }
    work.then(mark, mark)
    while (!over) await Promise.all([lamp.post(location), systemClock.sleep(100)])
    return work
  }
  const on = await awake(runCommand(['send', 'lamp-3', 'on', ...args]))
  assert.equal(on.code, 0, on.err)
  const write = await awake(runCommand(['send', 'lamp-3', 'write', '{"path":"/3311/0/5850","value":true}', ...args]))
  assert.equal(write.code, 0, write.err)
  assert.equal(await until(() => (told.length === 3 ? 3 : undefined)), 3)
  const listed = await runCommand(['devices', ...args])
  assert.match(listed.out, /lamp-3 .*protocol=LwM2M 1\.1 .*queue=true lifetime=300 .*objects=\/1\/0 \/3\/0 \/3311\/0/)
})
