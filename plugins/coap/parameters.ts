/** Transmission parameters (RFC 7252 §4.8), and the bounds on what is remembered of correspondents. */
export interface Parameters {
  /** First wait for an acknowledgement, ms; drawn between this and `ackRandomFactor` times this, then doubled. */
  readonly ackTimeout: number
  readonly ackRandomFactor: number
  readonly maxRetransmit: number
  /** Confirmable messages under way to one peer at once; more wait. */
  readonly nstart: number
  /** A request not answered after this many ms is acknowledged, and answered separately. */
  readonly ackDelay: number
  /** How long a message id stays that message's, ms. */
  readonly exchangeLifetime: number
  /** Remembered message ids of all peers together; beyond it the oldest is forgotten early. */
  readonly maxExchanges: number
  /** Bytes of remembered replies of all peers together. */
  readonly maxReplyBytes: number
  readonly maxPeers: number
}

export const DEFAULT_PARAMETERS: Parameters = {
  ackTimeout: 2000,
  ackRandomFactor: 1.5,
  maxRetransmit: 4,
  nstart: 1,
  ackDelay: 500,
  exchangeLifetime: 247_000,
  maxExchanges: 262_144,
  maxReplyBytes: 8 * 1024 * 1024,
  maxPeers: 20_000,
}

/** How long a request may wait for its response after the peer acknowledged it, ms. */
export const SEPARATE_RESPONSE_WAIT = 247_000

/** A peer whose address is not proved gets at most this many bytes for each byte it sent (RFC 9175 §2.6). */
export const AMPLIFICATION = 3
