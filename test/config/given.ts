/** A config as a person would write it, in a directory of its own, and plugins to write it for. */
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { TestContext } from 'node:test'
import { z } from 'zod'
import { checkConfig, type Loaded, type LoadOptions, loadConfig } from '../../gateway/config/load.ts'
import { definePlugin, type Plugin } from '../../gateway/plugin.ts'

export const mqtt = definePlugin({
  name: 'mqtt',
  summary: 'Another broker.',
  roles: ['source', 'sink'],
  config: z.strictObject({
    url: z
      .string()
      .regex(/^mqtts?:\/\//, 'a broker is mqtt://host[:port]')
      .describe('The broker.'),
    topics: z.array(z.string()).optional().describe('Topic filters to subscribe to.'),
    qos: z.int().min(0).max(2).prefault(1).describe('Quality of service.'),
    password: z.string().optional().describe('Password.'),
  }),
  create: () => ({}),
})

export const http = definePlugin({
  name: 'http',
  summary: 'An endpoint.',
  roles: ['sink'],
  config: z.strictObject({ url: z.string().describe('Where to send.') }),
  create: () => ({}),
})

export const coap = definePlugin({
  name: 'coap',
  summary: 'Constrained devices.',
  roles: ['source', 'commander'],
  config: z.looseObject({ listen: z.string().describe('UDP address.') }),
  create: () => ({}),
})

/** Takes whatever it is given. */
export function anyPlugin(name: string): Plugin {
  return definePlugin({ name, summary: name, roles: ['source'], config: z.looseObject({}), create: () => ({}) })
}

export const PLUGINS: readonly Plugin[] = [mqtt, http, coap, anyPlugin('amqp'), anyPlugin('zeromq'), anyPlugin('lwm2m')]

type Options = Partial<Omit<LoadOptions, 'file'>>

export async function fileOf(t: TestContext, yaml: string | Uint8Array): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), 'sluice-config-'))
  t.after(() => rm(directory, { recursive: true, force: true }))
  const file = join(directory, 'sluice.yaml')
  await writeFile(file, yaml)
  return file
}

export async function load(t: TestContext, yaml: string, options: Options = {}): Promise<Loaded> {
  return loadConfig({ plugins: PLUGINS, env: {}, gatewayId: () => 'pi-0123', ...options, file: await fileOf(t, yaml) })
}

/** Without a file, and without the one this machine may have. */
export function loadDefaults(options: Options = {}): Promise<Loaded> {
  return loadConfig({
    plugins: PLUGINS,
    env: {},
    gatewayId: () => 'pi-0123',
    systemFile: '/nowhere/sluice.yaml',
    ...options,
  })
}

/** `LINE:COLUMN: message`, with the variable in front when it is one of the environment. */
export async function mistakesIn(t: TestContext, yaml: string | Uint8Array, options: Options = {}): Promise<string[]> {
  const file = await fileOf(t, yaml)
  const mistakes = await checkConfig(file, { plugins: PLUGINS, env: {}, ...options })
  return mistakes.map((one) => `${one.file === file ? '' : `${one.file}:`}${one.line}:${one.column}: ${one.message}`)
}
