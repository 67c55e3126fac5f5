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
