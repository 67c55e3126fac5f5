/**
 * Commands to devices that receive from `command/{device}`. A command is a message `{id,command,args}` with the id as
 * message id and the name as subject. The device's outcome is the result: accepted, or rejected with a reason. A reply
 * `{id,ok,result?}` to `command/{device}/{name}/ack` (the `reply-to` of the command) says more.
 */
import type { Delivery, EventContext, Sender } from 'rhea'
import { NotConnectedError } from '../../../gateway/errors.ts'
import type { Command, Commander, CommandResult, PluginContext } from '../../../gateway/plugin.ts'
import { parseAnswer } from '../answer.ts'
import { addressOf, rejectionOf, terminus } from '../rhea.ts'
import type { Identity, Users } from './users.ts'

export interface CommandLinks {
  readonly commander: Commander
  /** Serves a link on which the peer receives. */
  attach(sender: Sender, identity: Identity): void
  /** Takes a reply. @returns false: it is none */
  answer(device: string, correlationId: string | undefined, body: Buffer): boolean
}

export interface CommandOptions {
  readonly context: PluginContext
  readonly users: Users
  /** What ends a command. */
  readonly answer: 'disposition' | 'reply'
  /** The body of a message of bytes. */
  data(bytes: Buffer): unknown
}

interface Pending {
  readonly device: string
  settle(result: CommandResult): void
}

const SOURCE = /^\/?command\/([^/]+)$/

export function createCommandLinks(options: CommandOptions): CommandLinks {
  const { context, users } = options
  const links = new Map<string, Sender>()
  const pending = new Map<string, Pending>()
  const sent = new Map<Delivery, Pending>()
  const listeners = new Set<(device: string) => void>()

  const outcome = (event: EventContext, settle: (pending: Pending) => void) => {
    const { delivery } = event
    const found = delivery && sent.get(delivery)
    if (!found) return
    sent.delete(delivery)
    settle(found)
  }

  const serve = (device: string, sender: Sender) => {
    let reachable = false
    // Whoever came last is the device: the one before may hang.
    links.get(device)?.close({ condition: 'amqp:link:stolen', description: `${device} receives elsewhere` })
    links.set(device, sender)
    const gone = () => {
      if (links.get(device) === sender) links.delete(device)
    }
    sender.on('sender_flow', () => {
      const now = sender.has_credit()
      if (now && !reachable) for (const listener of listeners) listener(device)
      reachable = now
    })
    sender.on('accepted', (event: EventContext) =>
      outcome(event, (found) => {
        if (options.answer === 'disposition') found.settle({ ok: true })
      }),
    )
    sender.on('rejected', (event: EventContext) =>
      outcome(event, (found) =>
        found.settle({ ok: false, reason: rejectionOf(event) ?? 'the device rejected the command' }),
      ),
    )
    sender.on('released', (event: EventContext) =>
      outcome(event, (found) => found.settle({ ok: false, reason: 'the device released the command' })),
    )
    sender.on('sender_close', gone)
    sender.connection.on('disconnected', gone)
    sender.connection.on('connection_close', gone)
  }

  const execute = ({ id, device, command, args }: Command, signal: AbortSignal): Promise<CommandResult> => {
    const sender = links.get(device)
    if (!sender?.sendable())
      return Promise.reject(
        new NotConnectedError('SLUICE_AMQP_DEVICE', `device ${device} does not receive from command/${device}`),
      )
    return new Promise((resolve) => {
      if (signal.aborted) return
      const end = () => {
        pending.delete(id)
        sent.delete(delivery)
        signal.removeEventListener('abort', end)
      }
      const settle = (result: CommandResult) => {
        end()
        resolve(result)
      }
      const delivery = sender.send({
        message_id: id,
        correlation_id: id,
        subject: command,
        to: `command/${device}`,
        reply_to: `command/${device}/${command}/ack`,
        content_type: 'application/json',
        body: options.data(Buffer.from(JSON.stringify({ id, command, args }))),
      })
      const waiting: Pending = { device, settle }
      pending.set(id, waiting)
      sent.set(delivery, waiting)
      signal.addEventListener('abort', end, { once: true })
    })
  }

  return {
    commander: {
      reaches: (device) => links.get(device)?.sendable() === true,
      onReachable(listener) {
        listeners.add(listener)
        return () => listeners.delete(listener)
      },
      describe(device) {
        const link = links.get(device)
        return link && { state: 'online', details: { credit: link.has_credit() } }
      },
      execute,
    },

    attach(sender, identity) {
      const address = addressOf(sender.source)
      const target = addressOf(sender.target)
      const device = SOURCE.exec(address ?? '')?.[1]
      if (address === undefined || device === undefined) {
        sender.close({ condition: 'amqp:not-found', description: 'a device receives from command/{device}' })
        return
      }
      if (!users.mayBeCommanded(identity, device)) {
        context.metrics.count('rejected')
        sender.close({ condition: 'amqp:unauthorized-access', description: `${identity} is not ${device}` })
        return
      }
      sender.set_source(terminus(address))
      sender.set_target(terminus(target))
      serve(device, sender)
    },

    answer(device, correlationId, body) {
      const answer = parseAnswer(body)
      const id = answer?.id ?? correlationId
      if (!answer || id === undefined) return false
      const found = pending.get(id)
      // Repeated, or after the deadline: nothing waits for it any more.
      if (found?.device === device) found.settle(answer.result)
      return true
    },
  }
}
