/** The `Emit` that a plugin's source is given, and the queue of those who wait for the journal. */
import type { Clock } from '../clock.ts'
import { BusyError } from '../errors.ts'
import type { Durability } from '../journal/journal.ts'
import type { Log } from '../log/log.ts'
import type { Message } from '../message.ts'
import type { Emit, Settled } from '../plugin.ts'
import { type Intake, NO_ROOM, type SourceState } from './intake.ts'
import { createMarks, type SentBefore } from './sent-before.ts'

/**
 * What a plugin's source is given.
 *
 * @param settle calls back when the journal covers an entry, in order
 */
export function createEmit(
  intake: Intake,
  source: SourceState,
  clock: Clock,
  settle: Settler,
  sentBefore: SentBefore,
): Emit {
  const markOf = createMarks()
  const offer = (message: Message, settled: Settled | null): boolean => {
    const { topic, payload } = message
    if (typeof topic !== 'string' || !(payload instanceof Uint8Array))
      throw new TypeError('a message needs a topic, which is text, and a payload, which is bytes')
    const mark = message.mark && markOf(message.mark)
    if (mark && sentBefore.has(source.index, mark)) {
      settled?.(null)
      return true
    }
    const origin = intake.origin(topic)
    const bytes = bufferOf(payload)
    const received = message.received ?? clock.now()
    const entry = intake.take(
      source,
      origin,
      bytes,
      0,
      bytes.length,
      message.contentType,
      Math.floor(received),
      true,
      mark,
    )
    if (entry === NO_ROOM) return false
    if (settled) settle.add(entry, source.durability, settled)
    return true
  }
  const room = () => new Promise<void>((resolve) => settle.whenRoom(resolve))
  const emit = async (message: Message): Promise<void> => {
    for (;;) {
      let failed: Error | null = null
      const taken = await new Promise<boolean>((resolve) => {
        const offered = offer(message, (error) => {
          failed = error
          resolve(true)
        })
        if (!offered) resolve(false)
      })
      if (failed) throw failed
      if (taken) return
      await room()
    }
  }
  return Object.assign(emit, { offer, room })
}

function bufferOf(payload: Uint8Array): Buffer {
  return Buffer.isBuffer(payload) ? payload : Buffer.from(payload.buffer, payload.byteOffset, payload.byteLength)
}

/** Who waits for which entry, in order. */
class Queue {
  #entries: number[] = []
  #callbacks: Settled[] = []

  add(entry: number, settled: Settled): void {
    this.#entries.push(entry)
    this.#callbacks.push(settled)
  }

  /** Calls back those that the journal covers. */
  settle(covered: number): void {
    let n = 0
    while (n < this.#entries.length && (this.#entries[n] as number) <= covered) n++
    if (n === 0) return
    this.#entries.splice(0, n)
    for (const settled of this.#callbacks.splice(0, n)) settled(null)
  }

  abandon(error: Error): void {
    this.#entries = []
    for (const settled of this.#callbacks.splice(0)) settled(error)
  }
}

/** Calls back, in order, as the journal comes to cover entries. */
export class Settler {
  readonly #log: Log
  readonly #intake: Intake
  readonly #fsync = new Queue()
  readonly #interval = new Queue()
  #rooms: (() => void)[] = []

  constructor(log: Log, intake: Intake) {
    this.#log = log
    this.#intake = intake
    log.onDurable((durable) => this.#fsync.settle(durable))
    log.onWritten((written) => this.#interval.settle(written))
    intake.onRoom(() => this.#room())
  }

  add(entry: number, durability: Durability, settled: Settled): void {
    const covered = durability === 'interval' ? this.#log.written : this.#log.durable
    if (entry <= covered) settled(null)
    else (durability === 'interval' ? this.#interval : this.#fsync).add(entry, settled)
  }

  whenRoom(callback: () => void): void {
    if (this.#intake.full) this.#rooms.push(callback)
    else callback()
  }

  /** The gateway stops: whoever still waits must send again. */
  abandon(): void {
    const error = new BusyError('SLUICE_STOPPING', 'the gateway is stopping')
    this.#fsync.abandon(error)
    this.#interval.abandon(error)
    this.#room()
  }

  #room(): void {
    const rooms = this.#rooms
    this.#rooms = []
    for (const callback of rooms) callback()
  }
}
