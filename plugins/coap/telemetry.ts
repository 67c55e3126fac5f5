/**
 * Telemetry in: `POST /telemetry/{device}[/{stream}]`, and notifications of devices we observe.
 *
 *   2.04  it is durable                     4.00  the path names no device        4.03  not for this identity
 *   5.03  it was not taken, or is not durable in time: send it again after Max-Age         4.15  a format nobody decodes
 */

import type { Message } from '../../gateway/message.ts'
import type { Clock, Emit } from '../../gateway/plugin.ts'
import { BAD_REQUEST, CHANGED, FORBIDDEN, SERVICE_UNAVAILABLE, UNSUPPORTED_CONTENT_FORMAT } from './codes.ts'
import { isTelemetryFormat, mediaType, TELEMETRY_FORMATS } from './content-format.ts'
import { createDelayQueue } from './delay-queue.ts'
import { textFingerprint } from './remembrance.ts'
import type { Request } from './request.ts'
import type { Resource, Respond, Response } from './resource.ts'
import type { Rights } from './rights.ts'
import { diagnostic } from './server.ts'

const DURABLE: Response = { code: CHANGED }
/** Soon: the journal makes room many times a second, or the disk is full and asking is cheap. */
const LATER: Response = { code: SERVICE_UNAVAILABLE, maxAge: 2 }

/** Hands a message on; exactly one of the outcomes is called, perhaps at once. */
export interface Intake {
  /** @param mark of the request that it came in, see `markOf` */
  take(
    topic: string,
    payload: Buffer,
    contentFormat: number | undefined,
    settled: (durable: boolean) => void,
    mark?: Buffer,
  ): void
  /** Messages not yet durable. */
  readonly pending: number
  close(): void
}

interface Ticket {
  settled: ((durable: boolean) => void) | undefined
}

/**
 * @param patience ms after which a message is given back to its sender
 * @param emit undefined while the source does not run
 */
export function createIntake(
  clock: Clock,
  patience: number,
  emit: () => Emit | undefined,
  count: (event: string) => void,
): Intake {
  let pending = 0
  const settle = (ticket: Ticket, durable: boolean) => {
    const { settled } = ticket
    if (!settled) return
    ticket.settled = undefined
    pending--
    settled(durable)
  }
  const overdue = createDelayQueue<Ticket>(
    clock,
    patience,
    (ticket) => {
      if (ticket.settled) count('overdue')
      settle(ticket, false)
    },
    (ticket) => ticket.settled === undefined,
  )
  return {
    take(topic, payload, contentFormat, settled, mark) {
      const to = emit()
      const ticket: Ticket = { settled }
      pending++
      const contentType = mediaType(contentFormat)
      const message: Message = { topic, payload, contentType, mark }
      if (!to?.offer(message, (error) => settle(ticket, error === null))) {
        count('refused_busy')
        settle(ticket, false)
      } else if (ticket.settled) overdue.push(ticket)
    },
    get pending() {
      return pending
    },
    close: () => overdue.clear(),
  }
}

export function telemetryResources(intake: Intake, rights: Rights): Resource[] {
  /** The topic of a path, or null when it is none; by the object that stands for its parts. */
  const topics = new WeakMap<Request['params'], string | null>()

  function topicFor(params: Request['params']): string | null {
    const known = topics.get(params)
    if (known !== undefined) return known
    const { device = '', stream } = params
    const topic = isLevel(device) && (stream === undefined || isLevel(stream)) ? topicOf(device, stream) : null
    topics.set(params, topic)
    return topic
  }

  const post = (request: Request, respond: Respond) => {
    const topic = topicFor(request.params)
    if (topic === null) respond(diagnostic(BAD_REQUEST, 'a device or stream has no slash, plus or hash in its name'))
    else if (!rights.mayPublish(request.peer, request.params.device as string)) respond({ code: FORBIDDEN })
    else if (!isTelemetryFormat(request.contentFormat)) respond({ code: UNSUPPORTED_CONTENT_FORMAT })
    else {
      const settled = (durable: boolean) => respond(durable ? DURABLE : LATER)
      intake.take(topic, request.payload, request.contentFormat, settled, markOf(request))
    }
  }
  return [
    { path: 'telemetry/{device}', post, brief: true, attributes: { rt: 'telemetry', ct: TELEMETRY_FORMATS } },
    { path: 'telemetry/{device}/{stream}', post, brief: true },
  ]
}

const MARK = Buffer.alloc(10)

/**
 * What a retransmission of a confirmable request is known by, also after a restart of the gateway: message id, fingerprint
 * of the datagram and of where it comes from. Over DTLS there is none: a session ends with the process, and its message
 * ids with it. The same buffer each time.
 */
export function markOf({ confirmable, peer, messageId, fingerprint }: Request): Buffer | undefined {
  if (!confirmable || peer.secure) return undefined
  MARK.writeUInt16BE(messageId, 0)
  MARK.writeInt32BE(fingerprint, 2)
  MARK.writeInt32BE(textFingerprint(peer.key), 6)
  return MARK
}

export function topicOf(device: string, stream: string | undefined): string {
  return stream === undefined ? `telemetry/${device}` : `telemetry/${device}/${stream}`
}

/** Whether a text can be one level of a topic. */
export function isLevel(text: string): boolean {
  if (text.length === 0 || text.length > 256) return false
  for (let i = 0; i < text.length; i++) {
    const c = text.charCodeAt(i)
    // Control characters, `#`, `+`, `/`, and what stands for bytes that were no UTF-8.
    if (c < 32 || c === 35 || c === 43 || c === 47 || c === 0xfffd) return false
  }
  return true
}
