/**
 * What becomes of deliveries, as dispositions (AMQP 1.0 part 2, 2.7.6) that we write ourselves. The journal settles many
 * in one go and in order: those that are accepted become one frame.
 *
 *     size │ 2 │ 0 │ channel │ 0x15: role (receiver) │ first │ last │ settled │ state
 */

export interface Outcomes {
  accept(id: number): void
  release(id: number): void
  reject(id: number, condition: string, description: string): void
}

const ACCEPTED = Buffer.from([0, 0x53, 0x24, 0x45])
const RELEASED = Buffer.from([0, 0x53, 0x26, 0x45])

/** @param write puts a frame on the connection; does nothing when it is over */
export function createOutcomes(channel: number, write: (frame: Buffer) => void): Outcomes {
  let first = 0
  let count = 0

  const flush = () => {
    if (count === 0) return
    write(disposition(channel, first, (first + count - 1) >>> 0, ACCEPTED))
    count = 0
  }
  return {
    accept(id) {
      if (count > 0 && id === (first + count) >>> 0) {
        count++
        return
      }
      if (count > 0) flush()
      else queueMicrotask(flush)
      first = id
      count = 1
    },
    release(id) {
      flush()
      write(disposition(channel, id, id, RELEASED))
    },
    reject(id, condition, description) {
      flush()
      write(disposition(channel, id, id, rejected(condition, description)))
    },
  }
}

function disposition(channel: number, first: number, last: number, state: Buffer): Buffer {
  const head = Buffer.from([
    // Frame header, then the performative: a list of five.
    ...[0, 0, 0, 0, 2, 0, 0, 0],
    ...[0, 0x53, 0x15, 0xd0, 0, 0, 0, 0, 0, 0, 0, 5],
    ...[0x41, 0x70, 0, 0, 0, 0, 0x70, 0, 0, 0, 0, 0x41],
  ])
  head.writeUInt32BE(head.length + state.length, 0)
  head.writeUInt16BE(channel, 6)
  head.writeUInt32BE(head.length - 16 + state.length, 12)
  head.writeUInt32BE(first, 22)
  head.writeUInt32BE(last, 27)
  return Buffer.concat([head, state])
}

/** rejected [error [condition, description]] */
function rejected(condition: string, description: string): Buffer {
  const symbol = Buffer.from(condition, 'latin1')
  const text = Buffer.from(description)
  const length = Buffer.alloc(4)
  length.writeUInt32BE(text.length)
  const fields = Buffer.concat([Buffer.from([0xa3, symbol.length]), symbol, Buffer.from([0xb1]), length, text])
  const error = Buffer.concat([Buffer.from([0, 0x53, 0x1d]), list(fields, 2)])
  return Buffer.concat([Buffer.from([0, 0x53, 0x25]), list(error, 1)])
}

function list(fields: Buffer, count: number): Buffer {
  const head = Buffer.alloc(9)
  head[0] = 0xd0
  head.writeUInt32BE(fields.length + 4, 1)
  head.writeUInt32BE(count, 5)
  return Buffer.concat([head, fields])
}
