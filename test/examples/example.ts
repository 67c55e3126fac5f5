/** An example's config as it stands, but for its ports, its upstream and its data directory. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type GatewayProcess, startGatewayProcess } from '../support/gateway-process.ts'

export interface Example {
  readonly gateway: GatewayProcess
  /** Its data directory. */
  readonly data: string
  stop(): Promise<void>
}

/** @param upstreams the section of that name */
export async function startExample(
  name: string,
  upstreams: object,
  env: Readonly<Record<string, string>> = {},
): Promise<Example> {
  const data = mkdtempSync(join(tmpdir(), `sluice-${name}-`))
  const gateway = await startGatewayProcess(['run', '--config', `examples/${name}/sluice.yaml`, '--data', data], {
    SLUICE__MQTT__LISTEN: '127.0.0.1:0',
    SLUICE__HTTP__LISTEN: '127.0.0.1:0',
    SLUICE__UPSTREAMS: JSON.stringify(upstreams),
    ...env,
  })
  return {
    gateway,
    data,
    async stop() {
      await gateway.kill()
      rmSync(data, { recursive: true, force: true })
    },
  }
}
