/** The command line's surroundings, faked inside: a real HTTP server in front of a gateway that only pretends. */
import { existsSync, readFileSync } from 'node:fs'
import { resolve } from 'node:path'
import type { Actions, LoadedConfig } from '../../gateway/cli/actions.ts'
import { createSecret, removeRuntime, writeRuntime } from '../../gateway/cli/runtime.ts'
import { type Clock, systemClock } from '../../gateway/clock.ts'
import { ConfigError, StartError } from '../../gateway/errors.ts'
import { type HttpOptions, startHttp } from '../../gateway/http/server.ts'
import type { Log } from '../../gateway/logging.ts'
import { createFakeApi, type FakeApi } from '../http/fake-api.ts'
import { operatorWith } from '../http/serve.ts'

export const fakeActions: Actions<LoadedConfig> = {
  version: '0.1.0',
  clock: systemClock,
  async load({ config, data = './data' }) {
    if (config === undefined) return { data, logLevel: 'info' }
    const text = existsSync(config) ? readFileSync(config, 'utf8') : ''
    if (text.includes('tumbing'))
      throw new ConfigError([
        { file: config, line: 1, column: 3, message: 'unknown key `tumbing`, did you mean `tumbling`?' },
        { file: config, line: 2, column: 1, message: 'another' },
      ])
    if (text.includes('defect')) throw new TypeError('x is not a function')
    return { file: config, data: resolve(data), logLevel: 'info' }
  },
  parseDuration(text) {
    if (!/^\d+s$/.test(text)) throw new Error(`${text} is no duration`)
    return Number(text.slice(0, -1)) * 1000
  },
  async startGateway({ loaded, clock, log }) {
    if (loaded.file?.includes('in-use')) throw new StartError('SLUICE_PORT_IN_USE', 'mqtt: port 1883 is in use')
    const { api, stop, port } = await startFake(loaded.data, clock, log)
    if (loaded.file?.includes('defective')) setTimeout(() => JSON.parse('{'), 10)
    if (loaded.file?.includes('warning')) process.emitWarning('11 listeners added', 'MaxListenersExceededWarning')
    const warm = setInterval(() => undefined, 60_000)
    return {
      ports: { mqtt: 1883, http: port },
      async reload() {
        api.troubled = 'reloaded'
      },
      async stop() {
        clearInterval(warm)
        if (loaded.file?.includes('slow')) await new Promise(() => setInterval(() => undefined, 1000))
        await stop()
      },
    }
  },
  async runDemo({ forMs, json }, terminal) {
    terminal.print(`demo for ${forMs} ${json}`)
    return 0
  },
  auditData: async ({ data }) => ({
    ...(await createFakeApi(systemClock).audit()),
    balanced: !data.includes('unbalanced'),
    damage: data.includes('damaged') ? ['journal/1.log: frame 7 is damaged'] : [],
  }),
  openOutbox: async () => undefined,
  hashPassword: async (password) => `hash-of-${password}`,
}

export interface Fake {
  readonly api: FakeApi
  readonly port: number
  stop(): Promise<void>
}

/** A gateway on a data directory, as far as the command line can see. */
export async function startFake(data: string, clock: Clock, log: Log, more: Partial<HttpOptions> = {}): Promise<Fake> {
  const api = createFakeApi(clock)
  const secret = createSecret()
  const options = {
    listen: [{ host: '127.0.0.1', port: 0 }],
    credentials: () => operatorWith('a-token'),
    secret,
    ...more,
  }
  const server = await startHttp({ options, api, clock, log })
  const port = server.addresses[0]?.port ?? 0
  const { fingerprint } = server
  const http = { address: '127.0.0.1', port, secret, ...(fingerprint === undefined ? {} : { fingerprint }) }
  await writeRuntime(data, {
    pid: process.pid,
    started: new Date(clock.now()).toISOString(),
    ports: { mqtt: 1883, http: port },
    http,
  })
  const stop = async () => {
    await removeRuntime(data)
    await server.stop()
  }
  return { api, port, stop }
}
