/** A request as handlers see it: its options read, its body whole. */
import { type Block, blockOf } from './block.ts'
import { type CoapMessage, type Option, type OptionCursor, optionsAt, readOption } from './codec.ts'
import type { Exchange } from './exchange.ts'
import {
  ACCEPT,
  BLOCK1,
  BLOCK2,
  CONTENT_FORMAT,
  ECHO,
  NO_RESPONSE,
  OBSERVE,
  PROXY_SCHEME,
  PROXY_URI,
  SIZE1,
  texts,
  URI_PATH,
  URI_QUERY,
  uintOf,
  understanding,
} from './options.ts'
import type { Peer } from './transport.ts'

export interface Request {
  readonly peer: Peer
  readonly confirmable: boolean
  readonly code: number
  /** Of its message, and of the whole datagram: a retransmission has the same. */
  readonly messageId: number
  readonly fingerprint: number
  readonly path: readonly string[]
  readonly query: readonly string[]
  readonly contentFormat: number | undefined
  readonly accept: number | undefined
  readonly options: readonly Option[]
  readonly payload: Buffer
  /** The named parts of the resource's path; the same object for the same path, most of the time. */
  readonly params: Readonly<Record<string, string>>
}

/** What the options of a request ask for; for the server itself. */
export interface Demands {
  /** Where the segments of its path stand in the datagram, one after the other. */
  pathStart: number
  pathEnd: number
  query: boolean
  contentFormat: number | undefined
  accept: number | undefined
  observe: number | undefined
  block1: Block | undefined
  block2: Block | undefined
  size1: number | undefined
  echo: Buffer | undefined
  /** Bits of RFC 7967: 2, 8, 16 for no interest in 2.xx, 4.xx, 5.xx. */
  noResponse: number
  /** Why it cannot be served. */
  problem: undefined | 'option' | 'proxy' | 'block'
  /** Number of the option that is not understood. */
  refused: number
}

/** What of them matters when the response is made. */
export type Wishes = Pick<Demands, 'observe' | 'block1' | 'block2' | 'noResponse'>

const NONE: Wishes = Object.freeze({ observe: undefined, block1: undefined, block2: undefined, noResponse: 0 })

/** Mostly there are none. */
export function wishesOf({ observe, block1, block2, noResponse }: Demands): Wishes {
  if (observe === undefined && !block1 && !block2 && noResponse === 0) return NONE
  return { observe, block1, block2, noResponse }
}

/** Reads all options in one pass, without making objects of them. */
export function demandsOf({ data, optionsStart, optionsEnd }: CoapMessage): Demands {
  const demands: Demands = {
    pathStart: 0,
    pathEnd: 0,
    query: false,
    contentFormat: undefined,
    accept: undefined,
    observe: undefined,
    block1: undefined,
    block2: undefined,
    size1: undefined,
    echo: undefined,
    noResponse: 0,
    problem: undefined,
    refused: -1,
  }
  const cursor = optionsAt(optionsStart)
  let before = -1
  for (let head = optionsStart; readOption(data, cursor, optionsEnd); head = cursor.next) {
    const { number, start, end } = cursor
    const known = understanding(number, end - start, number === before)
    before = number
    if (known === 'yes') read(demands, data, cursor, head)
    else if (known === 'refuse' && demands.problem === undefined) {
      demands.problem = 'option'
      demands.refused = number
    }
  }
  return demands
}

function read(demands: Demands, data: Buffer, { number, start, end }: OptionCursor, head: number): void {
  switch (number) {
    case URI_PATH:
      if (demands.pathEnd === 0) demands.pathStart = head
      demands.pathEnd = end
      return
    case URI_QUERY:
      demands.query = true
      return
    case CONTENT_FORMAT:
      demands.contentFormat = uintOf(data, start, end)
      return
    case ACCEPT:
      demands.accept = uintOf(data, start, end)
      return
    case OBSERVE:
      demands.observe = uintOf(data, start, end)
      return
    case BLOCK1:
      demands.block1 = blockOf(data.subarray(start, end))
      if (!demands.block1) demands.problem ??= 'block'
      return
    case BLOCK2:
      demands.block2 = blockOf(data.subarray(start, end))
      if (!demands.block2) demands.problem ??= 'block'
      return
    case SIZE1:
      demands.size1 = uintOf(data, start, end)
      return
    case ECHO:
      demands.echo = data.subarray(start, end)
      return
    case NO_RESPONSE:
      demands.noResponse = uintOf(data, start, end)
      return
    case PROXY_URI:
    case PROXY_SCHEME:
      demands.problem ??= 'proxy'
  }
}

const NO_QUERY: readonly string[] = Object.freeze([])

/** A class for its getter's sake: an object literal with one costs kilobytes each time. */
export class ReceivedRequest implements Request {
  readonly peer: Peer
  readonly confirmable: boolean
  readonly code: number
  readonly messageId: number
  readonly fingerprint: number
  readonly path: readonly string[]
  readonly query: readonly string[]
  readonly contentFormat: number | undefined
  readonly accept: number | undefined
  readonly payload: Buffer
  readonly params: Readonly<Record<string, string>>
  readonly #message: CoapMessage

  /** @param path of the resource that `params` are the named parts of. @param payload all of it */
  constructor(
    { peer, confirmable, message, fingerprint }: Exchange,
    demands: Demands,
    path: readonly string[],
    params: Readonly<Record<string, string>>,
    payload: Buffer,
  ) {
    this.peer = peer
    this.confirmable = confirmable
    this.code = message.code
    this.messageId = message.id
    this.fingerprint = fingerprint
    this.path = path
    this.query = demands.query ? texts(message.options, URI_QUERY) : NO_QUERY
    this.contentFormat = demands.contentFormat
    this.accept = demands.accept
    this.payload = payload
    this.params = params
    this.#message = message
  }

  get options(): readonly Option[] {
    return this.#message.options
  }
}
