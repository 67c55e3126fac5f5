/**
 * Acknowledgements that wait for the journal: one queue for all connections in the order of the entries, in reusable
 * arrays. When the journal has committed, what is due is written with one buffer per connection and commit, in the
 * order in which the PUBLISH packets came (MQTT-4.6.0-2).
 *
 *     head                         tail
 *      ▼                            ▼
 *     [ c7 id 12 e 40 | c2 id 1 e 41 | c7 id 13 e 41 | … ]      entries never decrease, 0 goes with those before it
 */

/** First byte of the packets. */
export const PUBACK = 0x40
export const PUBREC = 0x50
export const PUBCOMP = 0x70

/** Someone who waits for acknowledgements. */
export interface Acknowledged {
  /** How many wait in the queue. */
  unacknowledged: number
  /** Bytes of acknowledgements not yet written. */
  acks: Buffer | null
  ackLength: number
  readonly open: boolean
  write(bytes: Uint8Array): void
  /** A QoS 2 message with this id is durable; called also when the connection is closed: it is session state. */
  received(id: number): void
}

const FIRST_CAPACITY = 1024
/** An empty queue larger than this gives its memory back. */
const KEPT_CAPACITY = 64 * 1024
const LARGEST_BUFFER = 4096

export class Acknowledgements<Peer extends Acknowledged> {
  #peers: (Peer | null)[] = new Array(FIRST_CAPACITY).fill(null)
  #packets = new Int32Array(FIRST_CAPACITY)
  #entries = new Float64Array(FIRST_CAPACITY)
  #head = 0
  #length = 0
  readonly #touched: Peer[] = []

  get length(): number {
    return this.#length
  }

  /** Acknowledge when the journal has reached `entry`; 0: with what `peer` already waits for. */
  add(peer: Peer, kind: number, id: number, entry: number, reason = 0): void {
    if (this.#length === this.#entries.length) this.#resize(this.#length * 2)
    const at = (this.#head + this.#length) & (this.#entries.length - 1)
    this.#peers[at] = peer
    this.#packets[at] = (reason << 24) | (kind << 16) | id
    this.#entries[at] = entry
    this.#length++
    peer.unacknowledged++
  }

  /** Acknowledge at the next `flush`. */
  now(peer: Peer, kind: number, id: number, expected = 64, reason = 0): void {
    if (peer.acks === null) {
      peer.acks = Buffer.allocUnsafe(Math.min(LARGEST_BUFFER, 4 * expected + 1))
      this.#touched.push(peer)
    } else if (peer.ackLength + 5 > peer.acks.length) {
      peer.write(peer.acks.subarray(0, peer.ackLength))
      peer.acks = Buffer.allocUnsafe(LARGEST_BUFFER)
      peer.ackLength = 0
    }
    const at = peer.ackLength
    peer.acks[at] = kind
    // A reason of MQTT 5 comes last and is left out when there is none (section 3.4.2.1).
    peer.acks[at + 1] = reason === 0 ? 2 : 3
    peer.acks[at + 2] = id >> 8
    peer.acks[at + 3] = id & 0xff
    peer.acks[at + 4] = reason
    peer.ackLength = reason === 0 ? at + 4 : at + 5
  }

  /** Writes what is due. `after` is called for every peer that got something. */
  flush(after?: (peer: Peer) => void): void {
    const touched = this.#touched
    for (let i = 0; i < touched.length; i++) {
      const peer = touched[i] as Peer
      if (peer.acks && peer.open) peer.write(peer.acks.subarray(0, peer.ackLength))
      peer.acks = null
      peer.ackLength = 0
    }
    if (after) for (const peer of touched.splice(0)) after(peer)
    else touched.length = 0
  }

  /** The journal has reached `durable`. */
  commit(durable: number, after: (peer: Peer) => void): void {
    const mask = this.#entries.length - 1
    while (this.#length > 0 && (this.#entries[this.#head] as number) <= durable) {
      const peer = this.#peers[this.#head] as Peer
      const packet = this.#packets[this.#head] as number
      this.#peers[this.#head] = null
      this.#head = (this.#head + 1) & mask
      this.#length--
      const expected = peer.unacknowledged--
      const kind = (packet >> 16) & 0xff
      const id = packet & 0xffff
      if (kind === PUBREC) peer.received(id)
      if (peer.open) this.now(peer, kind, id, expected, packet >>> 24)
    }
    if (this.#length === 0 && this.#entries.length > KEPT_CAPACITY) this.#resize(FIRST_CAPACITY)
    this.flush(after)
  }

  #resize(capacity: number): void {
    const peers = new Array<Peer | null>(capacity).fill(null)
    const packets = new Int32Array(capacity)
    const entries = new Float64Array(capacity)
    const mask = this.#entries.length - 1
    for (let i = 0; i < this.#length; i++) {
      const at = (this.#head + i) & mask
      peers[i] = this.#peers[at] ?? null
      packets[i] = this.#packets[at] as number
      entries[i] = this.#entries[at] as number
    }
    this.#peers = peers
    this.#packets = packets
    this.#entries = entries
    this.#head = 0
  }
}
