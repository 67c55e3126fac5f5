/**
 * A peer that was let in speaks with the library, but for its transfers.
 *
 *     socket ─▶ guard ─┬─ transfers ─▶ lane ─▶ intake ─▶ outcomes ─▶ socket
 *                      └─ all else ──▶ rhea ─▶ links of intake and commands
 */
import type { Socket } from 'node:net'
import type { Connection, ConnectionOptions, EventContext, Session } from 'rhea'
import { reasonOf } from '../../../gateway/errors.ts'
import type { PluginContext } from '../../../gateway/plugin.ts'
import { accept, channelOf } from '../rhea.ts'
import { createChannel } from './channel.ts'
import type { CommandLinks } from './commands.ts'
import type { Intake } from './intake.ts'
import { createLane, type Lane } from './lane.ts'
import { createOutcomes, type Outcomes } from './outcomes.ts'
import type { Identity } from './users.ts'

/** Largest frame, bytes; longer messages come in several. */
const FRAME = 256 * 1024
const MAX_SESSIONS = 16
const MAX_LINKS = 256

export interface ConversationParts {
  readonly rhea: typeof import('rhea')
  readonly context: PluginContext
  readonly intake: Intake
  readonly commands: CommandLinks
  /** Bytes of the longest message. */
  readonly maxMessage: number
  /** From here to an open connection, ms. */
  readonly greeting: number
}

/** @param rest what the socket, which is paused, has brought already */
export function converse(parts: ConversationParts, socket: Socket, identity: Identity, rest: Buffer): Connection {
  const { rhea, context, intake } = parts
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
  const container = rhea.create_container({ id: `sluice-${context.gateway}` })
  const connection = container.create_connection(options as ConnectionOptions)
  const end = (event: unknown) => {
    violated(reasonOf((event as EventContext).error ?? event))
    socket.destroy()
  }
  const lane: Lane = createLane({ connection, message: parts.maxMessage, take: intake.take })
  const channel = createChannel(
    socket,
    {
      frame: FRAME,
      transfer: (...given) => {
        // What came before it in the same chunk may have ended the connection.
        if (!socket.destroyed) lane(...given)
      },
    },
    violated,
  )
  const outcomes = new WeakMap<Session, Outcomes>()
  const outcomesOf = (session: Session): Outcomes => {
    const known = outcomes.get(session)
    if (known) return known
    const made = createOutcomes(channelOf(session), (frame) => {
      if (connection.is_open()) channel.write(frame)
    })
    outcomes.set(session, made)
    return made
  }
  const sessions = limit(MAX_SESSIONS, 'sessions')
  const links = limit(MAX_LINKS, 'links')
  const greeting = context.clock.after(parts.greeting, () => socket.destroy())
  const events: Readonly<Record<string, (event: EventContext) => void>> = {
    connection_open: () => greeting.cancel(),
    session_open: sessions.more,
    session_close: sessions.less,
    receiver_open: ({ receiver }) => {
      links.more()
      if (receiver) intake.attach(receiver, identity, outcomesOf(receiver.session))
    },
    sender_open: ({ sender }) => {
      links.more()
      if (sender) parts.commands.attach(sender, identity)
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
  socket.once('close', () => greeting.cancel())
  accept(connection, channel)
  channel.begin(rest)
  return connection
}

function limit(most: number, what: string): { more(): void; less(): void } {
  let open = 0
  return {
    more() {
      if (++open > most) throw new Error(`more than ${most} ${what}`)
    },
    less() {
      open--
    },
  }
}
