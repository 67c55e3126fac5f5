/** What of the AMQP 1.0 library its own types leave out, and how messages are had from it as bytes. */
import type { Connection, Delivery, EventContext, Receiver, Session } from 'rhea'

/** Loaded when it is needed, to keep a gateway without it small. */
export async function loadRhea(): Promise<typeof import('rhea')> {
  const loaded = (await import('rhea')) as typeof import('rhea') & { readonly default?: typeof import('rhea') }
  return loaded.default ?? loaded
}

interface ServerConnection extends Connection {
  accept(socket: unknown): void
  _process(): void
}

export function accept(connection: Connection, socket: unknown): void {
  ;(connection as ServerConnection).accept(socket)
}

interface Counters {
  next_transfer_id: number
  next_delivery_id: number | undefined
}

interface CountedSession extends Session {
  readonly incoming: Counters
  readonly local: { readonly channel: number }
  readonly remote: { readonly handles: Readonly<Record<number, CountedReceiver | undefined>> }
}

interface CountedReceiver extends Receiver {
  credit: number
  delivery_count: number
}

/** The number that our frames of a session bear. */
export function channelOf(session: Session): number {
  return (session as CountedSession).local.channel
}

/** Who receives what comes on a channel under a handle; undefined when nobody does. */
export function receiverAt(connection: Connection, channel: number, handle: number): Receiver | undefined {
  const { remote_channel_map: sessions } = connection as unknown as {
    readonly remote_channel_map: Readonly<Record<number, CountedSession | undefined>>
  }
  const receiver = sessions[channel]?.remote.handles[handle]
  return receiver?.is_receiver() && receiver.is_remote_open() ? receiver : undefined
}

/** How many transfers may be counted before the library must look whether the peer's window is to be moved. */
const WINDOW_LOOK = 512

/** Counts a transfer that the library does not see, so that it tells the peer the right window. */
export function countTransfer({ session, connection }: Receiver): void {
  const { incoming } = session as CountedSession
  incoming.next_transfer_id++
  if (incoming.next_transfer_id % WINDOW_LOOK === 0) register(connection)
}

/** Counts a delivery that begins; false when its number or the credit is wrong. */
export function countDelivery(receiver: Receiver, id: number): boolean {
  const counted = receiver as CountedReceiver
  const { incoming } = receiver.session as CountedSession
  if (counted.credit <= 0 || id < 0 || id !== (incoming.next_delivery_id ?? id)) return false
  incoming.next_delivery_id = (id + 1) >>> 0
  counted.credit--
  counted.delivery_count++
  return true
}

function register(connection: Connection): void {
  ;(connection as unknown as { _register(): void })._register()
}

/**
 * Writes what is to be written now. The library puts outcomes of neighbouring deliveries into one frame with the first
 * one's state, also when the second is another: different outcomes must be written apart.
 */
export function flush(connection: Connection): void {
  ;(connection as ServerConnection)._process()
}

interface Incoming {
  on_transfer(frame: { readonly performative: { message_format: number } }, receiver: Receiver): void
}

/** Any message format but 0 is handed over undecoded; decoding would cost more than all the rest. */
const UNDECODED = 1

/** Has messages of a session's receivers come as bytes. To be called when the session opens. */
export function takeBytes(session: Session): void {
  const { incoming } = session as unknown as { readonly incoming: Incoming }
  const original = incoming.on_transfer.bind(incoming)
  incoming.on_transfer = (frame, receiver) => {
    // The library would take it, and only complain on standard error.
    if ((receiver as unknown as { readonly credit: number }).credit <= 0) throw new Error('a message without credit')
    frame.performative.message_format = UNDECODED
    original(frame, receiver)
  }
}

/** A message as `takeBytes` makes it come. */
export function arrivalOf(context: EventContext): { readonly delivery: Delivery; readonly bytes: Buffer } | undefined {
  const { delivery } = context
  const bytes: unknown = context.message
  return delivery && Buffer.isBuffer(bytes) ? { delivery, bytes } : undefined
}

/** The address of a source or target; one that the peer left out is an object without a value here. */
export function addressOf(terminus: { readonly address?: unknown } | undefined): string | undefined {
  const empty = (terminus as { readonly value?: unknown } | undefined)?.value === null
  const address = empty ? undefined : terminus?.address
  return typeof address === 'string' && address !== '' ? address : undefined
}

/** What we say of a source or target in return; the library's types know none without an address. */
export function terminus(address: string | undefined): { address: string } {
  return (address === undefined ? {} : { address }) as { address: string }
}

/** Why the peer rejected what we sent, in its words. */
export function rejectionOf({ delivery }: EventContext): string | undefined {
  const state = delivery?.remote_state as { readonly error?: { description?: string; condition?: string } } | undefined
  return state?.error?.description ?? state?.error?.condition
}

/** Tells the peer how large a message may be, in bytes; to be called before the link is answered. */
export function limitMessages(receiver: Receiver, bytes: number): void {
  const { local } = receiver as unknown as { readonly local: { readonly attach: { max_message_size: number } } }
  local.attach.max_message_size = bytes
}
