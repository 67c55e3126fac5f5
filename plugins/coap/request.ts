/** A request as handlers see it: its options read, its body whole. */
import { type Block, blockOf } from './block.ts'
import type { CoapMessage, Option } from './codec.ts'
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
  readonly path: readonly string[]
  readonly query: readonly string[]
  readonly contentFormat: number | undefined
  readonly accept: number | undefined
  readonly options: readonly Option[]
  readonly payload: Buffer
  /** The named parts of the resource's path. */
  readonly params: Readonly<Record<string, string>>
}

/** What else the options of a request ask for; for the server itself. */
export interface Demands {
  path: string[]
  query: string[]
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

/** Reads all options in one pass. */
export function demandsOf(message: CoapMessage): Demands {
  const demands: Demands = {
    path: [],
    query: [],
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
  const { options } = message
  for (let i = 0; i < options.length; i++) {
    const known = understanding(options, i)
    if (known === 'yes') read(demands, options[i] as Option)
    else if (known === 'refuse' && demands.problem === undefined) {
      demands.problem = 'option'
      demands.refused = (options[i] as Option).number
    }
  }
  return demands
}

function read(demands: Demands, { number, value }: Option): void {
  switch (number) {
    case URI_PATH:
      demands.path.push(value.toString())
      return
    case URI_QUERY:
      demands.query.push(value.toString())
      return
    case CONTENT_FORMAT:
      demands.contentFormat = uintOf(value)
      return
    case ACCEPT:
      demands.accept = uintOf(value)
      return
    case OBSERVE:
      demands.observe = uintOf(value)
      return
    case BLOCK1:
      demands.block1 = blockOf(value)
      if (!demands.block1) demands.problem ??= 'block'
      return
    case BLOCK2:
      demands.block2 = blockOf(value)
      if (!demands.block2) demands.problem ??= 'block'
      return
    case SIZE1:
      demands.size1 = uintOf(value)
      return
    case ECHO:
      demands.echo = value
      return
    case NO_RESPONSE:
      demands.noResponse = uintOf(value)
      return
    case PROXY_URI:
    case PROXY_SCHEME:
      demands.problem ??= 'proxy'
  }
}
