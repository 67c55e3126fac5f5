/**
 * AMQP 1.0 without a broker: the gateway listens, and devices send to it.
 *
 *     servers ─▶ admission (how many) ─▶ door (SASL) ─▶ conversation ─▶ intake ─▶ emit
 *                                                           └──▶ command links ◀─ commander
 */
import type { Socket } from 'node:net'
import type { Connection } from 'rhea'
import { NotConnectedError } from '../../../gateway/errors.ts'
import type { Emit, PluginContext, Roles } from '../../../gateway/plugin.ts'
import { isLoopback, type ListenConfig } from '../config.ts'
import { loadRhea } from '../rhea.ts'
import { createAdmission } from './admission.ts'
import { type CommandLinks, createCommandLinks } from './commands.ts'
import { converse } from './conversation.ts'
import { openDoor } from './door.ts'
import { createIntake, type Intake } from './intake.ts'
import { openServers } from './servers.ts'
import { createUsers } from './users.ts'

/** For the log-in, and again from there to an open connection, ms. */
const GREETING = 10_000
/** How long acknowledgements under way are waited for when the source stops, ms. */
const LINGER = 300

interface Running {
  readonly commands: CommandLinks
  readonly intake: Intake
  readonly sockets: Set<Socket>
  readonly connections: Set<Connection>
  serve(socket: Socket): void
}

export function createListener(config: ListenConfig, context: PluginContext): Roles {
  let ports: Record<string, number> = {}
  let commands: CommandLinks | undefined
  const reachable = new Set<(device: string) => void>()

  return {
    source: {
      ports: () => ports,
      async run(emit, signal) {
        if (signal.aborted) return
        const running = await start(config, context, emit)
        commands = running.commands
        commands.commander.onReachable?.((device) => {
          for (const listener of reachable) listener(device)
        })
        const servers = await openServers(config.listen, running.serve)
        try {
          ports = servers.ports(context.name)
          await Promise.race([aborted(signal), servers.failed])
        } finally {
          ports = {}
          const closed = servers.close()
          await stop(running, context)
          commands = undefined
          await closed
        }
      },
    },
    commander: {
      reaches: (device) => commands?.commander.reaches(device) === true,
      onReachable(listener) {
        reachable.add(listener)
        return () => reachable.delete(listener)
      },
      describe: (device) => commands?.commander.describe?.(device),
      execute(command, signal) {
        if (commands) return commands.commander.execute(command, signal)
        return Promise.reject(new NotConnectedError('SLUICE_AMQP_DEVICE', 'the AMQP source is not running'))
      },
    },
  }
}

async function start(config: ListenConfig, context: PluginContext, emit: Emit): Promise<Running> {
  const rhea = await loadRhea()
  const users = createUsers(config, context)
  const admits = createAdmission(config, context)
  const sockets = new Set<Socket>()
  const connections = new Set<Connection>()
  let paused = false
  const commands = createCommandLinks({
    context,
    users,
    answer: config.answer,
    data: (bytes) => rhea.message.data_section(bytes),
  })
  const intake = createIntake({
    config,
    context,
    emit,
    users,
    commands,
    pause() {
      paused = true
      for (const socket of sockets) socket.pause()
    },
    resume() {
      paused = false
      for (const socket of sockets) socket.resume()
    },
  })
  const parts = { rhea, context, intake, commands, maxMessage: config.maxMessage, greeting: GREETING }
  return {
    commands,
    intake,
    sockets,
    connections,
    serve(socket) {
      if (!admits(socket)) return
      sockets.add(socket)
      socket.once('close', () => sockets.delete(socket))
      const anonymous = config.anonymous || (!users.configured && isLoopback(socket.localAddress ?? ''))
      openDoor(socket, { users, anonymous, timeout: GREETING }, context, (identity, rest) => {
        const connection = converse(parts, socket, identity, rest)
        connections.add(connection)
        socket.once('close', () => connections.delete(connection))
        if (!paused) socket.resume()
      })
    },
  }
}

/** Nothing more is read; what is under way is acknowledged, the rest is sent again by its senders. */
async function stop({ intake, sockets, connections }: Running, context: PluginContext): Promise<void> {
  for (const socket of sockets) socket.pause()
  await intake.settled(LINGER)
  intake.end()
  for (const connection of connections)
    connection.close({ condition: 'amqp:connection:forced', description: 'stopping' })
  // The library writes at the next tick, and the peer may take a moment to read it.
  if (connections.size > 0) await context.clock.sleep(50)
  for (const socket of sockets) socket.destroy()
}

function aborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve()
    else signal.addEventListener('abort', () => resolve(), { once: true })
  })
}
