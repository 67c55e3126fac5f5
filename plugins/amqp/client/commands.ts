/**
 * Commands from upstream over AMQP 1.0: a link on which we receive, in a session of its own, which is all that a peer
 * ends when it does not let us. A command is accepted when it is durable here, and rejected when it is none.
 */
import type { EventContext, Receiver } from 'rhea'
import { RefusedError, reasonOf } from '../../../gateway/errors.ts'
import type { CommandListener, PluginContext } from '../../../gateway/plugin.ts'
import { readMessage } from '../message.ts'
import { arrivalOf, flush, takeBytes } from '../rhea.ts'
import type { Opened } from './connection.ts'

/** Commands under way at a time. */
const CREDIT = 50
/** ms until a link that the peer ended is opened again, and a command that was not taken is given back. */
const AGAIN = 5000

/** Goes on until the connection ends. */
export function receiveCommands(
  { connection }: Opened,
  address: string,
  context: PluginContext,
  listener: CommandListener,
): void {
  let said: string | undefined

  const start = () => {
    if (!connection.is_open()) return
    const session = connection.create_session()
    session.begin()
    takeBytes(session)
    const receiver = session.open_receiver({ source: { address }, credit_window: 0, autoaccept: false })
    let over = false
    const ended = ({ error }: { readonly error?: unknown }) => {
      if (over || !connection.is_open()) return
      over = true
      complain(error)
      if (session.is_open()) session.close()
      context.clock.after(AGAIN, start)
    }
    receiver.on('receiver_open', () => receiver.add_credit(CREDIT))
    receiver.on('message', (event: EventContext) => take(receiver, event))
    receiver.on('receiver_error', () => {})
    receiver.on('receiver_close', () => ended(receiver))
    session.on('session_error', () => {})
    session.on('session_close', () => ended(session))
  }

  /** The same reason is told once. */
  const complain = (error: unknown) => {
    const reason = reasonOf((error as { description?: unknown } | undefined)?.description ?? 'the peer ended the link')
    if (reason === said) return
    said = reason
    context.log.warn({ address, reason }, `no commands from upstream: cannot receive from ${address}`)
  }

  const take = (receiver: Receiver, event: EventContext) => {
    const arrival = arrivalOf(event)
    if (!arrival) return
    const { delivery, bytes } = arrival
    const settle = (outcome: () => void) => {
      if (!receiver.is_open()) return
      // Neighbouring outcomes of different kinds must not become one frame.
      flush(connection)
      outcome()
      flush(connection)
      receiver.add_credit(1)
    }
    const refuse = (error: unknown) => {
      context.log.warn({ address, reason: reasonOf(error) }, 'a command from upstream was not taken')
      if (!(error instanceof RefusedError)) {
        context.metrics.count('commands_not_taken')
        context.clock.after(AGAIN, () => settle(() => delivery.release()))
        return
      }
      context.metrics.count('commands_refused')
      settle(() => delivery.reject({ condition: 'amqp:decode-error', description: error.message }))
    }
    const { body, messageId } = readMessage(bytes)
    if (!body) refuse(new RefusedError('SLUICE_NO_COMMAND', 'it is no command: its body is neither data nor text'))
    else listener(body, messageId).then(() => settle(() => delivery.accept()), refuse)
  }

  start()
}
