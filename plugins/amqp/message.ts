/**
 * A message (AMQP 1.0 part 3, section 3.2), read where it arrived: sections in this order, each optional but the body.
 *
 *     70 header   71 delivery annotations   72 message annotations   73 properties   74 application properties
 *     75 data …  |  76 sequence …  |  77 value        78 footer
 */
import { bytesOf, descriptorOf, MalformedError, openList, skip, textAt } from './types.ts'

export interface Arrival {
  /** From the properties. */
  readonly messageId: string | undefined
  readonly to: string | undefined
  readonly correlationId: string | undefined
  readonly contentType: string | undefined
  /** undefined when the body is neither data nor a value of binary or text. A part of the bytes that arrived. */
  readonly body: Buffer | undefined
}

const PROPERTIES = 0x73
const DATA = 0x75
const VALUE = 0x77
/** Places in the list of properties. */
const MESSAGE_ID = 0
const TO = 2
const CORRELATION_ID = 5
const CONTENT_TYPE = 6

const NOTHING = Buffer.alloc(0)

/**
 * Reads the message that is `bytes[start, end)`.
 *
 * @throws MalformedError
 */
export function readMessage(bytes: Buffer, start = 0, end = bytes.length): Arrival {
  let properties: Properties | undefined
  let body: Buffer | undefined
  let bodies = 0
  let at = start
  while (at < end) {
    const section = descriptorOf(bytes, at, end)
    const value = skip(bytes, at + 1, end)
    if (section === PROPERTIES) properties = readProperties(bytes, value, end)
    else if (section === DATA || section === VALUE) {
      const part = bytes[value] === 0x40 ? NOTHING : bytesOf(bytes, value, end)
      if (part) body = bodies === 0 || !body ? part : Buffer.concat([body, part])
      bodies++
    } else if (section === 0x76) bodies++
    at = skip(bytes, value, end)
  }
  if (bodies === 0) throw new MalformedError('a message has no body')
  return {
    messageId: properties?.messageId,
    to: properties?.to,
    correlationId: properties?.correlationId,
    contentType: properties?.contentType,
    body,
  }
}

interface Properties {
  messageId: string | undefined
  to: string | undefined
  correlationId: string | undefined
  contentType: string | undefined
}

function readProperties(bytes: Buffer, start: number, end: number): Properties {
  const list = openList(bytes, start, end)
  const found: Properties = { messageId: undefined, to: undefined, correlationId: undefined, contentType: undefined }
  let { at } = list
  for (let i = 0; i < list.count && i <= CONTENT_TYPE; i++) {
    if (i === MESSAGE_ID) found.messageId = textAt(bytes, at, end)
    else if (i === TO) found.to = textAt(bytes, at, end)
    else if (i === CORRELATION_ID) found.correlationId = textAt(bytes, at, end)
    else if (i === CONTENT_TYPE) found.contentType = textAt(bytes, at, end)
    at = skip(bytes, at, end)
  }
  return found
}
