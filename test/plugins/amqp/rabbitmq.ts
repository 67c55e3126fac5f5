/** A real RabbitMQ on free ports, started by hand with a directory and an epmd of its own. */
import { type ChildProcess, execFile, spawn } from 'node:child_process'
import { existsSync } from 'node:fs'
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import type { Peer } from '../contract.ts'
import { freePort } from '../mosquitto.ts'

const PROGRAM = '/usr/lib/rabbitmq/bin/rabbitmq-server'
const CONTROL = '/usr/lib/rabbitmq/bin/rabbitmqctl'

export const NO_RABBITMQ: string | false = existsSync(PROGRAM) ? false : 'rabbitmq-server is not installed'

export interface RabbitMq extends Peer {
  readonly port: number
  /** Ends it with SIGKILL. */
  kill(): Promise<void>
  /** `rabbitmqctl`; takes about a second. */
  control(...args: string[]): Promise<string>
  dispose(): Promise<void>
}

/** @param plugins to switch on, for example rabbitmq_amqp1_0 */
export async function createRabbitMq(plugins: readonly string[] = []): Promise<RabbitMq> {
  const directory = await mkdtemp(join(tmpdir(), 'sluice-rabbitmq-'))
  const [port, distribution, names] = [await freePort(), await freePort(), await freePort()]
  const enabled = join(directory, 'enabled_plugins')
  await writeFile(enabled, `[${plugins.join(',')}].\n`)
  await mkdir(join(directory, 'log'))
  // The nodes' password lies in the home directory.
  const environment = {
    PATH: process.env.PATH,
    LANG: 'C.UTF-8',
    HOME: directory,
    ERL_EPMD_PORT: String(names),
    ERL_EPMD_ADDRESS: '127.0.0.1',
    RABBITMQ_NODENAME: 'sluice@localhost',
    RABBITMQ_NODE_IP_ADDRESS: '127.0.0.1',
    RABBITMQ_NODE_PORT: String(port),
    RABBITMQ_DIST_PORT: String(distribution),
    RABBITMQ_MNESIA_BASE: directory,
    RABBITMQ_LOG_BASE: join(directory, 'log'),
    RABBITMQ_LOGS: join(directory, 'log', 'rabbit.log'),
    RABBITMQ_ENABLED_PLUGINS_FILE: enabled,
    RABBITMQ_CONF_ENV_FILE: join(directory, 'none'),
    RABBITMQ_CONFIG_FILE: join(directory, 'rabbitmq'),
    RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS: '+S 1:1 +sbwt none -kernel inet_dist_use_interface {127,0,0,1}',
  }
  await writeFile(join(directory, 'rabbitmq.conf'), 'disk_free_limit.absolute = 1MB\n')
  let registry: ChildProcess | undefined
  let running: ChildProcess | undefined
  const end = async (signal: NodeJS.Signals) => {
    const child = running
    running = undefined
    if (!child?.pid || child.exitCode !== null) return
    const ended = new Promise((resolve) => child.once('exit', resolve))
    // A group of its own: the script, and the machine it starts.
    process.kill(-child.pid, signal)
    await ended
    await silent(port)
  }
  return {
    port,
    async start() {
      registry ??= spawn('epmd', ['-port', String(names), '-address', '127.0.0.1'], { stdio: 'ignore' })
      const child = spawn(PROGRAM, [], { env: environment, stdio: 'ignore', detached: true })
      running = child
      for (let tries = 0; !(await accepts(port)); tries++) {
        if (child.exitCode !== null || tries > 600) throw new Error('rabbitmq-server does not start')
        await pause(50)
      }
    },
    stop: () => end('SIGTERM'),
    kill: () => end('SIGKILL'),
    async control(...args) {
      const { stdout } = await promisify(execFile)(CONTROL, ['-q', ...args], { env: environment, timeout: 30_000 })
      return stdout
    },
    async dispose() {
      await end('SIGKILL')
      registry?.kill()
      await rm(directory, { recursive: true, force: true })
    },
  }
}

async function silent(port: number): Promise<void> {
  for (let tries = 0; (await accepts(port)) && tries < 200; tries++) await pause(20)
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms))
}

function accepts(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1')
    socket.once('connect', () => {
      socket.destroy()
      resolve(true)
    })
    socket.once('error', () => resolve(false))
  })
}
