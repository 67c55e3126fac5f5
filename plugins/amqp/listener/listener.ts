/**
 * AMQP 1.0 without a broker: the gateway listens, and devices send to it.
 *
 *     socket ─▶ door (SASL) ─▶ guard (whole, sound frames) ─▶ rhea ─▶ intake ─▶ emit
 *                                                              └──▶ command links ◀─ commander
 */
import { createServer, type Server, type Socket } from 'node:net'
import type { Connection, ConnectionOptions, EventContext } from 'rhea'
import { NotConnectedError, reasonOf } from '../../../gateway/errors.ts'
import type { Emit, PluginContext, Roles } from '../../../gateway/plugin.ts'
import { type Address, isLoopback, type ListenConfig } from '../config.ts'
import { accept, loadRhea, takeBytes } from '../rhea.ts'
import { createChannel } from './channel.ts'
import { type CommandLinks, createCommandLinks } from './commands.ts'
import { openDoor } from './door.ts'
import { createGuard } from './guard.ts'
import { createIntake, type Intake } from './intake.ts'
import { createUsers, type Identity, type Users } from './users.ts'

/** Largest frame, bytes; longer messages come in several. */
const FRAME = 256 * 1024
const MAX_SESSIONS = 16
const MAX_LINKS = 256
/** From connecting to an open connection, ms. */
const GREETING = 10_000
/** How long acknowledgements under way are waited for when the source stops, ms. */
const LINGER = 300
/** A dead peer is noticed by TCP after this, ms. */
const PROBE = 60_000

interface Running {
  readonly rhea: typeof import('rhea')
  readonly users: Users
  readonly commands: CommandLinks
  readonly intake: Intake
  readonly sockets: Set<Socket>
  readonly connections: Set<Connection>
  paused: boolean
}

export function createListener(config: ListenConfig, context: PluginContext): Roles {
  let ports: Record<string, number> = {}
  let commands: CommandLinks | undefined
  const reachable = new Set<(device: string) => void>()

  const start = async (emit: Emit): Promise<Running> => {
    const rhea = await loadRhea()
    const users = createUsers(config, context)
    commands = createCommandLinks({
      context,
      users,
      answer: config.answer,
      data: (bytes) => rhea.message.data_section(bytes),
    })
    commands.commander.onReachable?.((device) => {
      for (const listener of reachable) listener(device)
    })
    const sockets = new Set<Socket>()
    const intake = createIntake({
      config,
      context,
      emit,
      users,
      commands,
      pause() {
        running.paused = true
        for (const socket of sockets) socket.pause()
      },
      resume() {
        running.paused = false
        for (const socket of sockets) socket.resume()
      },
    })
    const running: Running = { rhea, users, commands, intake, sockets, connections: new Set(), paused: false }
    return running
  }

  return {
    source: {
      ports: () => ports,
      async run(emit, signal) {
        if (signal.aborted) return
        const running = await start(emit)
        const serve = createAdmission(running, config, context)
        const servers: Server[] = []
        try {
          for (const address of config.listen) servers.push(await listen(address, serve))
          ports = portsOf(context.name, servers)
          await Promise.race([aborted(signal), ...servers.map(failed)])
        } finally {
          ports = {}
          const closed = servers.map(close)
          await stop(running, context)
          commands = undefined
          await Promise.all(closed)
        }
      },
    },
    commander: {
      reaches: (device) => commands?.commander.reaches(device) === true,
      onReachable(listener) {
        reachable.add(listener)
        return () => reachable.delete(listener)
      },
      execute(command, signal) {
        if (commands) return commands.commander.execute(command, signal)
        return Promise.reject(new NotConnectedError('SLUICE_AMQP_DEVICE', 'the AMQP source is not running'))
      },
    },
  }
}

/** Who may connect. */
function createAdmission(running: Running, config: ListenConfig, context: PluginContext): (socket: Socket) => void {
  const perAddress = new Map<string, number>()
  let total = 0
  return (socket) => {
    const address = socket.remoteAddress ?? ''
    const here = perAddress.get(address) ?? 0
    if (total >= config.connections || here >= config.connectionsPerAddress) {
      context.metrics.count('refused_connections')
      socket.destroy()
      return
    }
    total++
    perAddress.set(address, here + 1)
    socket.setNoDelay(true)
    socket.setKeepAlive(true, PROBE)
    // A close follows.
    socket.on('error', () => {})
    socket.once('close', () => {
      total--
      const left = (perAddress.get(address) ?? 1) - 1
      if (left === 0) perAddress.delete(address)
      else perAddress.set(address, left)
      running.sockets.delete(socket)
      context.metrics.gauge('connections', total)
    })
    context.metrics.gauge('connections', total)
    running.sockets.add(socket)
    const anonymous = config.anonymous || (!running.users.configured && isLoopback(socket.localAddress ?? ''))
    openDoor(socket, { users: running.users, anonymous, timeout: GREETING }, context, (identity, rest) =>
      converse(running, socket, identity, rest, config, context),
    )
  }
}

/** Lets the library speak with a peer that was let in. */
function converse(
  running: Running,
  socket: Socket,
  identity: Identity,
  rest: Buffer,
  config: ListenConfig,
  context: PluginContext,
): void {
  const violated = (reason: string) => {
    context.metrics.count('violations')
    context.log.info({ address: socket.remoteAddress, user: identity, reason }, 'an AMQP connection was ended')
  }
  const options: object = {
    disable_sasl: true,
    autoaccept: false,
    credit_window: 0,
    max_frame_size: FRAME,
    channel_max: MAX_SESSIONS - 1,
    reconnect: false,
    // Links without a target; some clients use them only when told so.
    offered_capabilities: ['ANONYMOUS-RELAY'],
    session_buffer_size: 4096,
  }
  const container = running.rhea.create_container({ id: `sluice-${context.gateway}` })
  const connection = container.create_connection(options as ConnectionOptions)
  const end = (event: unknown) => {
    violated(reasonOf((event as EventContext).error ?? event))
    socket.destroy()
  }
  const limit = (most: number, what: string) => {
    let open = 0
    return {
      more() {
        if (++open > most) throw new Error(`more than ${most} ${what}`)
      },
      less: () => void open--,
    }
  }
  const sessions = limit(MAX_SESSIONS, 'sessions')
  const links = limit(MAX_LINKS, 'links')
  const greeting = context.clock.after(GREETING, () => socket.destroy())
  const events: Readonly<Record<string, (event: EventContext) => void>> = {
    connection_open: () => greeting.cancel(),
    session_open: ({ session }) => {
      sessions.more()
      if (session) takeBytes(session)
    },
    session_close: sessions.less,
    receiver_open: ({ receiver }) => {
      links.more()
      if (receiver) running.intake.attach(receiver, identity)
    },
    sender_open: ({ sender }) => {
      links.more()
      if (sender) running.commands.attach(sender, identity)
    },
    receiver_close: links.less,
    sender_close: links.less,
    // Told to us before the matching close; without somebody who listens the library throws.
    connection_error: () => {},
    session_error: () => {},
    receiver_error: () => {},
    sender_error: () => {},
    connection_close: () => {},
    disconnected: () => {},
    protocol_error: end,
    error: end,
  }
  for (const [name, handler] of Object.entries(events)) connection.on(name, handler)
  socket.once('close', () => {
    greeting.cancel()
    running.connections.delete(connection)
  })
  running.connections.add(connection)
  const guard = createGuard({ frame: FRAME, message: config.maxMessage })
  const channel = createChannel(socket, guard, violated)
  accept(connection, channel)
  channel.begin(rest)
  if (!running.paused) socket.resume()
}

function listen({ host, port }: Address, serve: (socket: Socket) => void): Promise<Server> {
  return new Promise((resolve, reject) => {
    const server = createServer({ noDelay: true }, serve)
    server.once('error', (cause) =>
      reject(
        new NotConnectedError('SLUICE_AMQP_LISTEN', `cannot listen on ${host}:${port}: ${reasonOf(cause)}`, { cause }),
      ),
    )
    server.listen(port, host, () => resolve(server))
  })
}

function failed(server: Server): Promise<never> {
  return new Promise((_, reject) => {
    server.on('error', (cause) =>
      reject(new NotConnectedError('SLUICE_AMQP_LISTEN', `no longer listening: ${reasonOf(cause)}`, { cause })),
    )
  })
}

function close(server: Server): Promise<void> {
  return new Promise((resolve) => server.close(() => resolve()))
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

function portsOf(name: string, servers: readonly Server[]): Record<string, number> {
  return Object.fromEntries(
    servers.flatMap((server, i) => {
      const address = server.address()
      if (address === null || typeof address === 'string') return []
      return [[i === 0 ? name : `${name}-${i}`, address.port]]
    }),
  )
}

function aborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve()
    else signal.addEventListener('abort', () => resolve(), { once: true })
  })
}
