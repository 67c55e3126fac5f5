/** The gateway's API, as the page needs it. */
import type {
  AlertChange,
  AlertStatus,
  Audit,
  Change,
  CommandStatus,
  ConfigCheck,
  ConfigFile,
  DeadLetterPage,
  DevicePage,
  DeviceStatus,
  LogLevelSetting,
  OutboxHistory,
  OutboxStatus,
  RunningConfig,
  WindowPage,
} from '../../gateway/http/schemas.ts'

export type * from '../../gateway/http/schemas.ts'

export type LogLevel = LogLevelSetting['level']

export class ApiError extends Error {
  readonly status: number
  readonly retryAfter: string | null
  constructor(status: number, message: string, retryAfter: string | null) {
    super(message)
    this.status = status
    this.retryAfter = retryAfter
  }
}

export interface DeclaredArgument {
  readonly type: 'number' | 'text' | 'boolean'
  readonly min?: number
  readonly max?: number
  readonly oneOf?: readonly string[]
  readonly unit?: string
  readonly optional?: boolean
}

export interface DeclaredCommand {
  /** button, switch, slider, shutter, choice or text; anything else is shown as a button. */
  readonly kind?: string
  readonly name?: string
  readonly args?: Readonly<Record<string, DeclaredArgument>>
}

export type Described = Omit<DeviceStatus, 'commands'> & {
  readonly commands?: Readonly<Record<string, DeclaredCommand>>
}

/** An alert that is raised. */
export type RaisedAlert = AlertStatus

/** What a person may say of a device. */
export type Description = Partial<Pick<Described, 'name' | 'room' | 'kind' | 'units' | 'commands'>>

export interface HistoryQuestion {
  readonly device?: string
  readonly window?: string
  /** The window's key as JSON. */
  readonly key?: string
  readonly field: string
}

/** One field over time, in columns of one length. */
export interface HistoryAnswer {
  /** Of a point, 0 for raw readings. */
  readonly stepMs: number
  /** Beginning of each point, ms since the epoch, ascending. */
  readonly times: readonly number[]
  readonly min?: readonly number[]
  readonly max?: readonly number[]
  readonly mean?: readonly number[]
}

export interface Session {
  readonly needed: boolean
  readonly signedIn: boolean
  /** `local` for whoever needs no token. */
  readonly user?: string
  readonly role?: 'viewer' | 'operator'
}

async function ask(method: string, path: string, body?: unknown): Promise<unknown> {
  const response = await fetch(path, {
    method,
    ...(body === undefined ? {} : { body: JSON.stringify(body), headers: { 'content-type': 'application/json' } }),
  })
  if (response.status === 204) return undefined
  const text = await response.text()
  const answer: unknown = text === '' ? undefined : JSON.parse(text)
  if (response.ok) return answer
  const { message } = (answer ?? {}) as { message?: string }
  throw new ApiError(response.status, message ?? response.statusText, response.headers.get('retry-after'))
}

const get = (path: string) => ask('GET', path)
const name = encodeURIComponent

export const api = {
  session: () => get('/api/session') as Promise<Session>,
  signIn: (token: string) => ask('POST', '/api/session', { token }),
  signOut: () => ask('DELETE', '/api/session'),
  devices: (after: string) => get(`/api/devices?limit=1000&after=${name(after)}`) as Promise<DevicePage>,
  /** Of a few devices. */
  devicesNamed: (ids: readonly string[]) =>
    get(`/api/devices?limit=1000&${ids.map((id) => `id=${name(id)}`).join('&')}`) as Promise<DevicePage>,
  device: (id: string) => get(`/api/devices/${name(id)}`) as Promise<Described>,
  describe: (id: string, description: Description) => ask('PUT', `/api/devices/${name(id)}`, description),
  history: (question: HistoryQuestion & { from: string; points: number }) =>
    get(`/api/history?${new URLSearchParams(question as unknown as Record<string, string>)}`) as Promise<HistoryAnswer>,
  windows: (limit: number) => get(`/api/windows?limit=${limit}`) as Promise<WindowPage>,
  windowsOf: (id: string) => get(`/api/windows?limit=500&device=${name(id)}`) as Promise<WindowPage>,
  commands: (device?: string) =>
    get(`/api/commands?limit=100${device === undefined ? '' : `&device=${name(device)}`}`) as Promise<{
      commands: CommandStatus[]
    }>,
  send: (request: { device: string; command: string; args?: unknown }) =>
    ask('POST', '/api/commands', request) as Promise<CommandStatus>,
  alerts: () => get('/api/alerts') as Promise<{ alerts: RaisedAlert[]; history: AlertChange[] }>,
  acknowledge: (id: string, note: string) => ask('POST', `/api/alerts/${name(id)}/ack`, note === '' ? {} : { note }),
  cancel: (id: string) => ask('DELETE', `/api/commands/${name(id)}`) as Promise<CommandStatus>,
  outbox: () => get('/api/outbox') as Promise<OutboxStatus>,
  outboxHistory: (span: '1h' | '24h') => get(`/api/outbox/history?span=${span}`) as Promise<OutboxHistory>,
  retry: (sink: string) => ask('POST', `/api/outbox/${name(sink)}/retry`),
  skip: (sink: string) => ask('POST', `/api/outbox/${name(sink)}/skip`, {}) as Promise<{ skipped: number }>,
  exportUrl: (sink: string) => `/api/outbox/${name(sink)}/export`,
  audit: () => get('/api/audit') as Promise<Audit>,
  deadLetters: () => get('/api/deadletters?limit=100') as Promise<DeadLetterPage>,
  changes: () => get('/api/changes?limit=100') as Promise<{ changes: Change[] }>,
  configFile: () => get('/api/config/file') as Promise<ConfigFile>,
  checkConfig: (yaml: string) => ask('POST', '/api/config/check', { yaml }) as Promise<ConfigCheck>,
  applyConfig: (yaml: string, digest: string) => ask('POST', '/api/config', { yaml, digest }) as Promise<ConfigCheck>,
  logLevel: () => get('/api/log-level') as Promise<LogLevelSetting>,
  setLogLevel: (level: LogLevel) => ask('PUT', '/api/log-level', { level }),
  config: () => get('/api/config') as Promise<RunningConfig>,
}
