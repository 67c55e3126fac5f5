/** An emit that remembers what came, and settles when told to. */
import type { Emit, Message, Settled } from '../../../gateway/plugin.ts'

export interface Taken {
  readonly topic: string
  readonly text: string
  readonly contentType: string | undefined
}

export interface Recorder {
  readonly emit: Emit
  readonly taken: Taken[]
  /** Not yet settled, in order. */
  readonly open: Settled[]
  /** With false nothing is settled until `settle`. */
  automatic: boolean
  /** What can be taken before there is no room. */
  room: number
  settle(error?: Error): void
  makeRoom(messages: number): void
  count(messages: number): Promise<void>
}

export function recorder(): Recorder {
  const waiting: { readonly messages: number; readonly done: () => void }[] = []
  let rooms: (() => void)[] = []
  const offer = (message: Message, settled: Settled): boolean => {
    if (self.room <= 0) return false
    self.room--
    const { topic, payload, contentType } = message
    self.taken.push({ topic, text: Buffer.from(payload).toString(), contentType })
    if (self.automatic) settled(null)
    else self.open.push(settled)
    for (const one of waiting) if (self.taken.length >= one.messages) one.done()
    return true
  }
  const emit = Object.assign(() => Promise.reject(new Error('offer is used')), {
    offer,
    room: () => {
      if (self.room > 0) return Promise.resolve()
      return new Promise<void>((resolve) => rooms.push(resolve))
    },
  })
  const self: Recorder = {
    emit,
    taken: [],
    open: [],
    automatic: true,
    room: Number.POSITIVE_INFINITY,
    settle(error) {
      for (const settled of self.open.splice(0)) settled(error ?? null)
    },
    makeRoom(messages) {
      self.room = messages
      const callbacks = rooms
      rooms = []
      for (const callback of callbacks) callback()
    },
    count: (messages) =>
      new Promise((resolve) => {
        if (self.taken.length >= messages) resolve()
        else waiting.push({ messages, done: resolve })
      }),
  }
  return self
}
