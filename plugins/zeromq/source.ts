/** Runs the sockets that bring messages in, and those that take commands out. */
import { NotConnectedError } from '../../gateway/errors.ts'
import type { Emit, PluginContext, Source } from '../../gateway/plugin.ts'
import { type CommandChannel, createCommands } from './commander.ts'
import type { ZeromqConfig } from './config.ts'
import { readCredentials } from './credentials.ts'
import { createInlet, type Inlet } from './inlet.ts'
import { createDoorkeeper } from './listener.ts'
import { openSocket, type SocketOptions, type ZeromqSocket } from './socket.ts'
import type { SocketType } from './socket-type.ts'
import { subscribe } from './subscriptions.ts'

/** How often peers are looked at, ms. */
const TICK = 1000
/** How long senders have to hang up once we said that we go, and answers owed are waited for, ms each. */
const LINGER = 250

export const INLETS = ['pull', 'sub', 'router', 'rep', 'commands'] as const
type InletName = (typeof INLETS)[number]

const TYPES: Readonly<Record<InletName, SocketType>> = {
  pull: 'PULL',
  sub: 'SUB',
  router: 'ROUTER',
  rep: 'REP',
  commands: 'PUB',
}

export function createCommandChannel(config: ZeromqConfig, context: PluginContext): CommandChannel {
  const known = config.plain?.users !== undefined || config.curve?.clients !== undefined
  return createCommands({
    deviceIs: config.deviceIs ?? (known ? 'user' : 'identity'),
    highWater: config.highWater,
    count: (event) => context.metrics.count(event),
  })
}

export function createSource(config: ZeromqConfig, context: PluginContext, commands: CommandChannel): Source {
  const { clock } = context
  const sockets = new Map<InletName, ZeromqSocket>()

  async function openAll(emit: Emit, down: () => void): Promise<Inlet> {
    const credentials = await readCredentials(config, context.path)
    const doorkeeper = createDoorkeeper(config.connections, config.perAddress)
    const inlet = createInlet({
      emit,
      context,
      topic: config.topic ?? 'telemetry/{device}',
      answered: commands.answered,
      highWater: config.highWater,
    })
    const handlers = handlersOf(config, inlet, commands)
    for (const name of INLETS) {
      const places = config[name]
      if (!places) continue
      const common = { type: TYPES[name], places, config, credentials, doorkeeper, context, down }
      sockets.set(name, await openSocket({ ...common, handlers: handlers[name] }))
    }
    return inlet
  }

  /** Nothing listens, and nobody we connect to is there. */
  function failure(): NotConnectedError | undefined {
    const failures = [...sockets.values()].map((socket) => socket.failure)
    return failures.every((one) => one) ? failures[0] : undefined
  }

  async function stop(inlet: Inlet): Promise<void> {
    const all = [...sockets.values()]
    for (const socket of all) socket.stopAccepting()
    await until(() => inlet.owed === 0)
    for (const { peers } of all) for (const peer of peers) peer.drain()
    await until(() => all.every(({ peers }) => peers.size === 0))
  }

  /** Looks every few ms, for LINGER at most. */
  async function until(done: () => boolean): Promise<void> {
    const end = clock.monotonic() + LINGER
    while (!done() && clock.monotonic() < end) await clock.sleep(10)
  }

  async function run(emit: Emit, signal: AbortSignal): Promise<void> {
    const lost = latch()
    const ticks = clock.every(TICK, () => {
      let open = 0
      for (const { peers } of sockets.values()) {
        open += peers.size
        for (const peer of peers) peer.check()
      }
      context.metrics.gauge('connections', open)
    })
    try {
      const inlet = await openAll(emit, () => {
        if (failure()) lost.open()
      })
      if (failure()) lost.open()
      await Promise.race([aborted(signal), lost.opened])
      if (signal.aborted) await stop(inlet)
      else throw failure() ?? new NotConnectedError('SLUICE_ZEROMQ_LOST', 'the connections were lost')
    } finally {
      ticks.cancel()
      await Promise.all([...sockets.values()].map((socket) => socket.close()))
      sockets.clear()
    }
  }

  return {
    run,
    ports: () => {
      const ports = [...sockets].map(([name, { port }]) => [name, port] as const)
      return Object.fromEntries(ports.filter((entry): entry is [InletName, number] => entry[1] !== undefined))
    },
  }
}

function handlersOf(
  config: ZeromqConfig,
  inlet: Inlet,
  { router, pub }: CommandChannel,
): Readonly<Record<InletName, SocketOptions['handlers']>> {
  const { topics = [] } = config.sub ?? {}
  return {
    pull: { message: inlet.take },
    sub: { message: inlet.take, ready: (peer) => subscribe(peer, topics) },
    router: { message: inlet.route, ...router },
    rep: { message: inlet.request },
    commands: pub,
  }
}

function aborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve()
    else signal.addEventListener('abort', () => resolve(), { once: true })
  })
}

function latch(): { readonly opened: Promise<void>; open(): void } {
  let open = () => {}
  const opened = new Promise<void>((resolve) => {
    open = resolve
  })
  return { opened, open: () => open() }
}
