/**
 * What people say of devices: name, room, kind, units, commands. A device that the config describes is described by it
 * alone; others may be described while the gateway runs, which `settings.json` keeps.
 */
import { stringify } from 'yaml'
import type { z } from 'zod'
import { explain } from '../config/issue.ts'
import { jsonSchema } from '../config/json-schema.ts'
import type { Config } from '../config/schema.ts'
import { deviceDescription } from '../config/sections/devices.ts'
import { isDeviceId } from '../decode/devices.ts'
import { BusyError, RequestError, reasonOf } from '../errors.ts'
import type { Settings } from '../settings.ts'

export type Description = Config['devices'][string]

export interface Descriptions {
  get(id: string): Description | undefined
  /** Who says it: the config, or people while the gateway runs. */
  origin(id: string): 'config' | 'api' | undefined
  ids(): readonly string[]
  /**
   * Resolves when it is on disk. A webhook that is not named stays; null removes it.
   *
   * @throws RequestError 400 with every mistake, 409 the config describes the device
   */
  put(id: string, written: unknown): Promise<void>
  /** False when there is none. @throws RequestError 409 the config describes the device */
  delete(id: string): Promise<boolean>
  /** A `devices` section that says the same; for version control. @param secrets whether addresses of webhooks are in it */
  yaml(secrets: boolean): string
}

export interface DescriptionParts {
  readonly settings: Pick<Settings, 'get' | 'set'>
  /** As it is now. */
  readonly config: () => Config['devices']
  /** The same as it was written. */
  readonly written: () => Readonly<Record<string, unknown>>
}

const STAGE = 'devices'
const MOST = 10_000

type Written = Record<string, unknown>

export function createDescriptions({ settings, config, written: ofConfig }: DescriptionParts): Descriptions {
  const written = new Map<string, Written>()
  const parsed = new Map<string, Description>()
  for (const [id, value] of Object.entries((settings.get(STAGE) ?? {}) as Record<string, Written>)) {
    const checked = deviceDescription.safeParse(value)
    // What an older gateway allowed and this one does not is kept, but says nothing.
    written.set(id, value)
    if (checked.success) parsed.set(id, checked.data as Description)
  }
  const change = async (id: string, value: Written | undefined, description: Description | undefined) => {
    const before = [written.get(id), parsed.get(id)] as const
    put(written, id, value)
    put(parsed, id, description)
    try {
      await settings.set(STAGE, Object.fromEntries(written))
    } catch (error) {
      put(written, id, before[0])
      put(parsed, id, before[1])
      throw new BusyError('SLUICE_DISK', `the description could not be kept: ${reasonOf(error)}`, { cause: error })
    }
  }
  const inConfig = (id: string) => Object.hasOwn(config(), id)
  const refuseConfigured = (id: string) => {
    if (!inConfig(id)) return
    throw new RequestError(409, 'SLUICE_IN_CONFIG', `the config file describes device ${id}: change it there`)
  }
  return {
    get: (id) => (inConfig(id) ? config()[id] : parsed.get(id)),
    origin: (id) => (inConfig(id) ? 'config' : parsed.has(id) ? 'api' : undefined),
    ids: () => [...new Set([...Object.keys(config()), ...parsed.keys()])],
    async put(id, given) {
      if (!isDeviceId(id))
        throw new RequestError(
          400,
          'SLUICE_DEVICE',
          'a device id is 1 to 256 bytes of UTF-8 without control characters',
        )
      refuseConfigured(id)
      if (!written.has(id) && written.size >= MOST)
        throw new RequestError(409, 'SLUICE_TOO_MANY_DEVICES', `${MOST} devices are described already`)
      const value = withWebhook(given, written.get(id))
      const checked = deviceDescription.safeParse(value)
      if (!checked.success) throw mistakesIn(id, value, checked.error)
      await change(id, value as Written, checked.data as Description)
    },
    async delete(id) {
      refuseConfigured(id)
      if (!written.has(id)) return false
      await change(id, undefined, undefined)
      return true
    },
    yaml(secrets) {
      const all = { ...Object.fromEntries(written), ...ofConfig() } as Record<string, Written>
      const inOrder = Object.keys(all).sort()
      const devices = Object.fromEntries(inOrder.map((id) => [id, secrets ? all[id] : withoutWebhook(all[id])]))
      return stringify({ devices }, { lineWidth: 0 })
    },
  }
}

function put<T>(map: Map<string, T>, id: string, value: T | undefined): void {
  if (value === undefined) map.delete(id)
  else map.set(id, value)
}

function withWebhook(given: unknown, before: Written | undefined): unknown {
  if (typeof given !== 'object' || given === null) return given
  const value: Written = { ...given }
  if (value.webhook === null) delete value.webhook
  else if (value.webhook === undefined && before?.webhook !== undefined) value.webhook = before.webhook
  return value
}

function withoutWebhook({ webhook: _, ...rest }: Written = {}): Written {
  return rest
}

/** The same words as `sluice check`, without a line: there is no file. */
function mistakesIn(id: string, value: unknown, error: z.ZodError): RequestError {
  const issues = error.issues.map((issue) => ({ ...issue, path: ['devices', id, ...issue.path] }))
  const found = explain(issues, { devices: { [id]: value } }, jsonSchema([]))
  const text = found.map(({ path, message }) =>
    [path.slice(2).join('.'), message].filter((part) => part !== '').join(': '),
  )
  return new RequestError(400, 'SLUICE_BAD_REQUEST', text.join('; '))
}
