/**
 * A transfer (AMQP 1.0 part 2, 2.7.5), read where it arrived. Nearly all that comes are transfers: they do not go through
 * the library, which would make a dozen objects of each.
 *
 *     handle │ delivery-id │ delivery-tag │ message-format │ settled │ more │ rcv-settle-mode │ state │ resume │ aborted │ batchable
 */
import { MalformedError, openList, skip, unsigned } from '../types.ts'

/** One is enough for a connection: it is filled anew for each frame. */
export interface Transfer {
  channel: number
  handle: number
  /** -1 when the frame leaves it out, as all but the first of a delivery may. */
  id: number
  settled: boolean
  /** Further frames of the same delivery follow. */
  more: boolean
}

const HANDLE = 0
const DELIVERY_ID = 1
const SETTLED = 4
const MORE = 5
const RESUME = 8
const ABORTED = 9

const NULL = 0x40

export function emptyTransfer(): Transfer {
  return { channel: 0, handle: -1, id: -1, settled: false, more: false }
}

/**
 * @param list where the list stands, `end` where it ends
 * @throws MalformedError
 */
export function readTransfer(into: Transfer, buffer: Buffer, channel: number, list: number, end: number): void {
  const { at: first, count } = openList(buffer, list, end)
  into.channel = channel
  into.handle = -1
  into.id = -1
  into.settled = false
  into.more = false
  for (let at = first, i = 0; i < count; i++) {
    if (buffer[at] !== NULL) {
      if (i === HANDLE) into.handle = unsigned(buffer, at)
      else if (i === DELIVERY_ID) into.id = unsigned(buffer, at)
      else if (i === SETTLED) into.settled = isTrue(buffer, at)
      else if (i === MORE) into.more = isTrue(buffer, at)
      else if (i === ABORTED && isTrue(buffer, at)) throw new MalformedError('an aborted transfer')
      else if (i === RESUME && isTrue(buffer, at)) throw new MalformedError('a delivery cannot be resumed')
    }
    at = skip(buffer, at, end)
  }
  if (into.handle < 0) throw new MalformedError('a transfer without a handle')
}

function isTrue(buffer: Buffer, at: number): boolean {
  return buffer[at] === 0x41 || (buffer[at] === 0x56 && buffer[at + 1] === 1)
}
