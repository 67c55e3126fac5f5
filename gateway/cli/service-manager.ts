/**
 * Tells systemd that the gateway is ready, and feeds its watchdog while the gateway makes progress.
 * https://www.freedesktop.org/software/systemd/man/latest/sd_notify.html
 *
 * Node has no datagram sockets of the Unix kind, so `systemd-notify` sends it: the unit says `NotifyAccess=all`.
 */
import { execFile } from 'node:child_process'
import type { Clock } from '../clock.ts'
import { reasonOf } from '../errors.ts'
import type { Log } from '../logging.ts'
import { connectClient } from './client.ts'

export interface ServiceManager {
  ready(): void
  stopping(): void
}

export interface ServiceManagerParts {
  readonly env: NodeJS.ProcessEnv
  readonly clock: Clock
  readonly log: Log
  /** Whether the stages move; rejects when the gateway does not answer. */
  readonly moves: () => Promise<boolean>
  /** Sends one state, e.g. `READY=1`; rejects when it could not. */
  readonly notify?: (state: string) => Promise<void>
}

/** A stage may be stuck this long before the watchdog is left hungry, ms: a full disk is not mended by a restart. */
const STUCK_FOR = 600_000
/** ms */
const NOTIFY_WITHIN = 10_000

/** Does nothing unless systemd started this process as a service that notifies. */
export function createServiceManager(parts: ServiceManagerParts): ServiceManager {
  const { env, clock, log, notify = systemdNotify } = parts
  if (!env.NOTIFY_SOCKET) return { ready: () => undefined, stopping: () => undefined }
  const tell = (state: string) => {
    notify(state).catch((error) => log.warn({ stage: 'service', state }, `cannot notify systemd: ${reasonOf(error)}`))
  }
  const interval = feedingInterval(env)
  let movedAt = clock.monotonic()
  const feed = async () => {
    try {
      if (await parts.moves()) movedAt = clock.monotonic()
      if (clock.monotonic() - movedAt < STUCK_FOR) tell('WATCHDOG=1')
    } catch (error) {
      log.warn({ stage: 'service' }, `the watchdog is not fed: ${reasonOf(error)}`)
    }
  }
  let timer: ReturnType<Clock['every']> | undefined
  return {
    ready() {
      tell('READY=1')
      if (interval !== undefined) timer = clock.every(interval, () => void feed())
    },
    stopping() {
      timer?.cancel()
      tell('STOPPING=1')
    },
  }
}

/** Asks the gateway the way a stranger would: through its socket, its event loop and its health. */
export async function stagesMove(data: string): Promise<boolean> {
  const { body } = await (await connectClient(data)).ask('GET', '/healthz')
  return typeof body === 'object' && body !== null && 'status' in body && body.status === 'ok'
}

/** Half of what systemd allows, ms; undefined when it watches nobody, or another process. */
function feedingInterval(env: NodeJS.ProcessEnv): number | undefined {
  const allowed = Number(env.WATCHDOG_USEC)
  if (!(allowed > 0) || (env.WATCHDOG_PID && Number(env.WATCHDOG_PID) !== process.pid)) return undefined
  return Math.floor(allowed / 2000)
}

function systemdNotify(state: string): Promise<void> {
  return new Promise((resolve, reject) => {
    execFile('systemd-notify', [state], { timeout: NOTIFY_WITHIN }, (error) => (error ? reject(error) : resolve()))
  })
}
