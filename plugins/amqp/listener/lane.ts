/**
 * Transfers of one connection become deliveries of its links. The library counts credit and windows; of what is in a
 * transfer it sees nothing.
 */
import type { Connection, Receiver } from 'rhea'
import { countDelivery, countTransfer, receiverAt } from '../rhea.ts'
import { MalformedError } from '../types.ts'
import type { Transfer } from './transfer.ts'

export interface LaneOptions {
  readonly connection: Connection
  /** Bytes of the longest message. */
  readonly message: number
  readonly take: Take
}

/** Takes a whole message, which is `bytes[start, end)` and stays as it is. */
export type Take = (receiver: Receiver, id: number, settled: boolean, bytes: Buffer, start: number, end: number) => void

export type Lane = (transfer: Transfer, buffer: Buffer, start: number, end: number) => void

/** A message of which only a part is there. */
interface Part {
  readonly id: number
  readonly pieces: Buffer[]
  bytes: number
  settled: boolean
}

/** Of one connection, at a time. */
const MAX_PARTS = 8

export function createLane({ connection, message: limit, take }: LaneOptions): Lane {
  const parts = new Map<Receiver, Part>()

  const begin = (receiver: Receiver, { id, settled }: Transfer): Part => {
    if (!countDelivery(receiver, id)) throw new MalformedError('a delivery without credit, or out of turn')
    return { id, settled, pieces: [], bytes: 0 }
  }

  const collect = (receiver: Receiver, transfer: Transfer, piece: Buffer): void => {
    const known = parts.get(receiver)
    if (known && transfer.id >= 0 && transfer.id !== known.id) throw new MalformedError('a delivery is cut short')
    const part = known ?? begin(receiver, transfer)
    part.pieces.push(piece)
    part.bytes += piece.length
    part.settled ||= transfer.settled
    if (part.bytes > limit) throw new MalformedError(`a message of more than ${limit} bytes`)
    if (transfer.more) {
      parts.set(receiver, part)
      if (parts.size > MAX_PARTS) throw new MalformedError('too many messages in parts at a time')
      return
    }
    parts.delete(receiver)
    take(receiver, part.id, part.settled, Buffer.concat(part.pieces, part.bytes), 0, part.bytes)
  }

  return (transfer, buffer, start, end) => {
    const { channel, handle, id, settled, more } = transfer
    const receiver = receiverAt(connection, channel, handle)
    if (!receiver) throw new MalformedError('a transfer on no link')
    if (end - start > limit) throw new MalformedError(`a message of more than ${limit} bytes`)
    countTransfer(receiver)
    if (more || (parts.size > 0 && parts.has(receiver))) collect(receiver, transfer, buffer.subarray(start, end))
    else if (countDelivery(receiver, id)) take(receiver, id, settled, buffer, start, end)
    else throw new MalformedError('a delivery without credit, or out of turn')
  }
}
