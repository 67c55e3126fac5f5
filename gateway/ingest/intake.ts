/**
 * The way into the journal, for every source.
 *
 *   bytes ─▶ reserve room in the journal's buffer ─▶ copy ─▶ process (decode, windows, rules) ─▶ verdict ─▶ entry number
 *                    │ no room                                                                        │
 *                    ▼                                                                                ▼
 *            the source stops reading                                              settled when the journal covers it
 *
 * Nothing is allocated per message on the way from the broker's lane: a topic is looked up once (`Origin`), the bytes
 * are copied once, and the decoder reads them where they arrived.
 */
import type { Route } from '../decode/decoder.ts'
import {
  type Control,
  encodeControl,
  LONGEST_TYPE,
  messageLength,
  type ShownTime,
  setDead,
  setVerdict,
  sharedBytes,
  UNSYNCED,
  writeHead,
} from '../journal/entry.ts'
import type { Durability, Journal } from '../journal/journal.ts'
import type { SourceLedger } from '../journal/ledger.ts'
import { DEAD_LETTER, type Pipeline } from '../pipeline.ts'
import type { TimeSync } from '../time-sync.ts'

/** A topic as one source carries it: what the lane keeps per distinct topic. */
export interface Origin {
  readonly topic: string
  readonly topicBytes: Buffer
  route: Route | null
}

/** One source's access to the journal. */
export interface SourceState {
  readonly name: string
  readonly index: number
  readonly durability: Durability
  readonly ledger: SourceLedger
  /** Dropped for want of room and not yet journaled as a gap. */
  overflow: { count: number; from: number; to: number } | undefined
}

export interface IntakeParts {
  readonly journal: Journal
  readonly pipeline: Pipeline
  /** Whether the wall clock can be believed, and what to stamp with until then. */
  readonly time: Pick<TimeSync, 'synced' | 'stamp'>
  /** True while records wait for room in the outbox and policy says to hold the senders back. */
  readonly blocked: () => boolean
}

export const NO_ROOM = -1
/** Taken; nothing to wait for. */
export const SETTLED = 0

const MAX_ORIGINS = 200_000
const TEXTS_TOGETHER = 16_384

/**
 * Texts as bytes, many behind each other in one buffer. In those that Node shares out, each would keep 8 KB alive, of
 * which it is all that lasts.
 */
function createTextStore() {
  let buffer = Buffer.alloc(0)
  let used = 0
  return {
    keep(text: string): Buffer {
      const length = Buffer.byteLength(text)
      if (used + length > buffer.length) {
        buffer = Buffer.allocUnsafeSlow(Math.max(TEXTS_TOGETHER, length))
        used = 0
      }
      const start = used
      used += buffer.write(text, start)
      return buffer.subarray(start, used)
    },
  }
}

export class Intake {
  readonly #parts: IntakeParts
  readonly #origins = new Map<string, Origin>()
  readonly #texts = createTextStore()
  readonly #roomListeners: (() => void)[] = []
  #full = false
  /** The first message of the frame that fills: its entry's number and its topic. */
  #opened = 0
  #openedBy: Buffer = Buffer.alloc(0)
  /** Times shown by unjournaled messages that found no room; nothing is taken before they are journaled. */
  #owed: ShownTime[] = []

  constructor(parts: IntakeParts) {
    this.#parts = parts
    parts.journal.log.onRoom(() => this.checkRoom())
    parts.pipeline.onFlow(() => this.#origins.clear())
  }

  /** True while nothing is taken. */
  get full(): boolean {
    return this.#full
  }

  /** Makes a source known to the journal; its name is journaled once and for all. */
  source(name: string, durability: Durability): SourceState {
    const { sources } = this.#parts.pipeline
    let index = sources.indexOf(name)
    if (index < 0) {
      index = sources.names.length
      this.control({ type: 'source', index, name })
    }
    return { name, index, durability, ledger: sources.ledger(name), overflow: undefined }
  }

  /** Journals a control entry and acts on it. False when there is no room now. */
  control(control: Control): boolean {
    if (this.#owed.length > 0) return false
    const entry = this.#parts.journal.log.append(encodeControl(control))
    if (entry < 0) return false
    this.#parts.pipeline.control(entry, control)
    return true
  }

  /** What a topic means, worked out once per distinct topic. */
  origin(topic: string): Origin {
    const known = this.#origins.get(topic)
    if (known) return known
    if (this.#origins.size >= MAX_ORIGINS) this.#origins.clear()
    const origin = { topic, topicBytes: this.#texts.keep(topic), route: this.#parts.pipeline.route(topic) }
    this.#origins.set(topic, origin)
    return origin
  }

  /**
   * Takes one message; `waits` when somebody waits for it to be durable; `mark` is what its sender's next try is known by.
   *
   * @returns the entry to wait for, SETTLED, or NO_ROOM
   */
  take(
    source: SourceState,
    origin: Origin,
    bytes: Buffer,
    start: number,
    end: number,
    contentType: string | undefined,
    received: number,
    waits: boolean,
    mark?: Buffer,
  ): number {
    if (this.#full) return NO_ROOM
    const { journal, pipeline, time } = this.#parts
    const { synced } = time
    if (!synced) received = time.stamp(received)
    if (contentType !== undefined && contentType.length > LONGEST_TYPE) contentType = undefined
    if (source.durability === 'none') {
      return this.#takeUnjournaled(source, origin, bytes, start, end, contentType, received, synced)
    }
    const { topicBytes } = origin
    const { log } = journal
    const untilWritten = source.durability === 'interval'
    const whole = messageLength(topicBytes.length, end - start, contentType, mark)
    const opening = log.opening(whole)
    const shared = opening === this.#opened ? sharedBytes(topicBytes, this.#openedBy) : 0
    const at = journal.reserve(whole - shared, !waits || untilWritten)
    if (at < 0) {
      this.#full = true
      return NO_ROOM
    }
    if (waits && untilWritten) log.writeSoon()
    const { buffer } = log
    const entry = log.next - 1
    if (opening === entry) {
      this.#opened = entry
      this.#openedBy = topicBytes
    }
    const flags = synced ? 0 : UNSYNCED
    const body = writeHead(buffer, at, flags, source.index, received, topicBytes, shared, contentType, mark)
    bytes.copy(buffer, body, start, end)
    const { route, topic } = origin
    const readings = pipeline.message(
      entry,
      route,
      source.ledger,
      topic,
      bytes,
      start,
      end,
      contentType,
      received,
      synced,
    )
    if (readings === DEAD_LETTER) setDead(buffer, at)
    else setVerdict(buffer, at, readings)
    if (mark !== undefined) pipeline.marked(mark)
    return entry
  }

  /** Counts messages given up for want of room; journaled as one gap when there is room. */
  drop(source: SourceState, now: number): void {
    const { overflow } = source
    if (overflow) {
      overflow.count++
      overflow.to = now
    } else {
      source.overflow = { count: 1, from: now, to: now }
    }
  }

  /** Journals what was dropped. Called when there is room and about ten times a second. */
  flushDrops(sources: Iterable<SourceState>): void {
    for (const source of sources) {
      const { overflow } = source
      if (overflow && this.control({ type: 'gap', source: source.name, reason: 'overflow', ...overflow })) {
        source.overflow = undefined
      }
    }
  }

  onRoom(listener: () => void): void {
    this.#roomListeners.push(listener)
  }

  /** Looks whether senders that were stopped may go on. */
  checkRoom(): void {
    if (this.#parts.blocked()) {
      this.#full = true
      return
    }
    if (!this.#full || !this.#parts.journal.log.roomy || !this.#journalShown()) return
    this.#full = false
    for (const listener of this.#roomListeners) listener()
  }

  /**
   * The message is not kept, but results that it closes are. So that a replay, which will not see it, closes the same
   * windows at the same place, the time that it showed is journaled then.
   */
  #takeUnjournaled(
    source: SourceState,
    origin: Origin,
    bytes: Buffer,
    start: number,
    end: number,
    contentType: string | undefined,
    received: number,
    synced: boolean,
  ): number {
    const { journal, pipeline } = this.#parts
    pipeline.unjournaled = this.#owed
    const { route, topic } = origin
    const { ledger } = source
    pipeline.message(journal.last + 1, route, ledger, topic, bytes, start, end, contentType, received, synced)
    pipeline.unjournaled = undefined
    if (!this.#journalShown()) this.#full = true
    return SETTLED
  }

  #journalShown(): boolean {
    if (this.#owed.length === 0) return true
    const { journal } = this.#parts
    if (journal.log.append(encodeControl({ type: 'advance', shown: this.#owed })) < 0) return false
    this.#owed = []
    return true
  }
}
