/** The whole gateway inside the test's process, with a config and a data directory of its own. */
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { systemClock } from '../../gateway/clock.ts'
import { loadConfig } from '../../gateway/config/load.ts'
import { type Gateway, startGateway } from '../../gateway/gateway.ts'
import { loadPluginFile } from '../../gateway/hosting/plugin-file.ts'
import { createLog } from '../../gateway/logging.ts'
import { plugins } from '../../plugins/index.ts'

export interface TestGateway {
  readonly gateway: Gateway
  readonly port: (name: string) => number
  /** Stops and starts again on the same data, with another config when one is given. */
  restart(config?: object): Promise<void>
  /** Changes the config while it runs. */
  reload(config: object): Promise<void>
  close(): Promise<void>
}

const LOCAL = { mqtt: { listen: '127.0.0.1:0' }, http: { listen: '127.0.0.1:0' }, log: { level: 'error' } }

/** @param config YAML as an object; listeners are on free ports of the loopback */
export async function startTestGateway(config: object): Promise<TestGateway> {
  const folder = await mkdtemp(join(tmpdir(), 'sluice-gateway-'))
  const file = join(folder, 'sluice.yaml')
  const load = async (given: object) => {
    const whole = { gateway: { id: 'test' }, data: join(folder, 'data'), ...LOCAL, ...given }
    await writeFile(file, JSON.stringify(whole))
    return loadConfig({ plugins, file, env: {}, loadPlugin: loadPluginFile })
  }
  const log = await createLog(systemClock, { level: 'error' })
  const start = async (given: object) =>
    startGateway({ loaded: await load(given), clock: systemClock, log, version: '0.0.0-test' })
  let current = config
  let gateway = await start(current)
  return {
    get gateway() {
      return gateway
    },
    port: (name) => gateway.ports[name] ?? 0,
    async restart(next) {
      await gateway.stop()
      current = next ?? current
      gateway = await start(current)
    },
    async reload(next) {
      current = next
      await gateway.reload(await load(next))
    },
    async close() {
      await gateway.stop()
      await rm(folder, { recursive: true, force: true })
    },
  }
}
