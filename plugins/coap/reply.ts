/**
 * From a handler's response to a reply: options, one block of a large body (RFC 7959), and no more than the peer may be
 * sent. To a peer whose address is not proved a large response goes in blocks small enough to be no amplification; when
 * not even 16 bytes would fit, it is asked to prove its address with Echo (4.01, RFC 9175 §2.4).
 */
import type { Clock } from '../../gateway/plugin.ts'
import { blockOption, blockSize, LARGEST_SZX, slice } from './block.ts'
import { type BlockwiseLimits, createShelf } from './blockwise.ts'
import { NO_OPTIONS, NOTHING, type Option, optionsLength } from './codec.ts'
import { BAD_REQUEST, CONTINUE, isSuccess, UNAUTHORIZED } from './codes.ts'
import type { Echo } from './echo.ts'
import type { Exchange } from './exchange.ts'
import { BLOCK1, BLOCK2, CONTENT_FORMAT, ECHO, ETAG, MAX_AGE, OBSERVE, SIZE1, SIZE2, uintOption } from './options.ts'
import { fingerprint } from './remembrance.ts'
import type { Wishes } from './request.ts'
import type { Response } from './resource.ts'

/** What goes on the wire. */
export interface Shaped {
  readonly code: number
  readonly options: readonly Option[]
  readonly payload: Uint8Array
}

export interface Replies {
  /** @param undelivered the response went by itself and was not acknowledged */
  finish(
    exchange: Exchange,
    wishes: Wishes,
    response: Response,
    extra?: readonly Option[],
    undelivered?: () => void,
  ): void
  /** A notification: its first block, when it is large; the others are asked for. */
  notification(response: Response, extra: readonly Option[]): Shaped
  /** The response whose further block is asked for, while it is kept. */
  kept(exchange: Exchange): Response | undefined
  clear(): void
  readonly bytes: number
}

/** A response whose body is kept while the client fetches it block by block. */
interface Download {
  readonly length: number
  readonly response: Response
}

export function createReplies(clock: Clock, limits: BlockwiseLimits, echo: Echo): Replies {
  const downloads = createShelf<Download>(clock, limits)

  function finish(
    exchange: Exchange,
    wishes: Wishes,
    response: Response,
    extra: readonly Option[] = NO_OPTIONS,
    undelivered?: () => void,
  ): void {
    if (wishes.noResponse & (1 << ((response.code >> 5) - 1))) {
      exchange.ignore()
      return
    }
    const room = exchange.room()
    const { tokenLength } = exchange
    const reply = shaped(exchange, response, wishes, extra, room, tokenLength)
    if (4 + tokenLength + optionsLength(reply.options) + reply.payload.length + 1 <= room)
      exchange.respond(reply.code, reply.options, reply.payload, undelivered)
    else if (isSuccess(response.code)) {
      const proof: Option[] = [{ number: ECHO, value: echo.make(exchange.peer) }]
      exchange.respond(UNAUTHORIZED, 4 + tokenLength + optionsLength(proof) <= room ? proof : [])
    } else exchange.respond(response.code)
  }

  /** A response cut to one block when it does not fit whole; the rest is kept for the exchange's peer. */
  function shaped(
    exchange: Exchange | undefined,
    response: Response,
    wishes: Wishes | undefined,
    extra: readonly Option[],
    room: number,
    tokenLength: number,
  ): Shaped {
    const { code, payload = NOTHING } = response
    const list: Option[] = [...extra, ...(response.options ?? NO_OPTIONS)]
    if (response.contentFormat !== undefined) list.push(uintOption(CONTENT_FORMAT, response.contentFormat))
    if (response.maxAge !== undefined) list.push(uintOption(MAX_AGE, response.maxAge))
    const block1 = wishes?.block1
    if (block1) list.push(blockOption(BLOCK1, { ...block1, more: code === CONTINUE }))
    const asked = wishes?.block2
    let szx = Math.min(asked?.szx ?? LARGEST_SZX, LARGEST_SZX)
    const head = 4 + tokenLength + optionsLength(list) + 1
    const whole = payload.length <= blockSize(szx) && !asked?.num && head + payload.length <= room
    if (whole || payload.length === 0) return { code, options: list, payload }
    // Block2 and ETag take up to nine bytes more.
    while (szx > 0 && head + 9 + blockSize(szx) > room) szx--
    const num = asked ? (asked.num * blockSize(asked.szx)) / blockSize(szx) : 0
    const { part, more } = slice(payload, num, szx)
    if (part.length === 0) return { code: BAD_REQUEST, options: [], payload: NOTHING }
    const etag = Buffer.alloc(4)
    etag.writeInt32BE(fingerprint(payload))
    list.push({ number: ETAG, value: etag }, blockOption(BLOCK2, { num, more, szx }))
    if (more && exchange) downloads.put(transferKey(exchange), { length: payload.length, response })
    return { code, options: list, payload: part }
  }

  return {
    finish,
    notification: (response, extra) => shaped(undefined, response, undefined, extra, Number.POSITIVE_INFINITY, 8),
    kept: (exchange) => downloads.get(transferKey(exchange))?.response,
    clear: () => downloads.clear(),
    get bytes() {
      return downloads.bytes
    },
  }
}

const NOT_IN_KEY = new Set([BLOCK1, BLOCK2, SIZE1, SIZE2, OBSERVE, ECHO])

/** Same peer and same cache key: everything but the block options, Size, Observe and Echo (RFC 7252 §5.4.6). */
export function transferKey(exchange: Exchange): string {
  const { code, options } = exchange.message
  let key = `${exchange.peer.key} ${code}`
  for (const { number, value } of options) {
    if (NOT_IN_KEY.has(number)) continue
    key += ` ${number}=${value.toString('latin1')}`
  }
  return key
}
