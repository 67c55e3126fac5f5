/** PUBLISH to subscribers (MQTT 3.1.1 and MQTT 5 section 3.3), written into one buffer. */
import type { Publication } from '../publication.ts'
import type { Version } from './connect.ts'
import { MESSAGE_EXPIRY, SUBSCRIPTION_IDENTIFIER, TOPIC_ALIAS } from './properties.ts'
import { variableSize, writeVariable } from './writer.ts'

/** How one subscriber gets a message. */
export interface PublishForm {
  readonly qos: 0 | 1 | 2
  readonly retain: boolean
  /** It may have been sent before. */
  readonly dup: boolean
  /** 0 with QoS 0. */
  readonly id: number
  /** Of the subscriptions that it comes by (MQTT-3.3.4-3). */
  readonly identifiers: readonly number[]
  /** s */
  readonly expiry: number | undefined
  /** 0: none. */
  readonly alias: number
  /** The subscriber knows the alias: the topic is left out. */
  readonly isAliasKnown: boolean
}

export function encodePublish(
  version: Version,
  { topic, payload, properties }: Publication,
  form: PublishForm,
): Buffer {
  const { qos, retain, dup, id } = form
  const topicLength = form.isAliasKnown ? 0 : Buffer.byteLength(topic)
  const own = version === 5 ? ownPropertiesSize(form) : 0
  const propertiesLength = own + (version === 5 ? properties.length : 0)
  const length =
    2 +
    topicLength +
    (qos > 0 ? 2 : 0) +
    (version === 5 ? variableSize(propertiesLength) + propertiesLength : 0) +
    payload.length
  const bytes = Buffer.allocUnsafe(1 + variableSize(length) + length)
  bytes[0] = 0x30 | (dup ? 8 : 0) | (qos << 1) | (retain ? 1 : 0)
  let at = writeVariable(bytes, 1, length)
  at = bytes.writeUInt16BE(topicLength, at)
  if (topicLength > 0) at += bytes.write(topic, at)
  if (qos > 0) at = bytes.writeUInt16BE(id, at)
  if (version === 5) {
    at = writeVariable(bytes, at, propertiesLength)
    if (own > 0) at = writeOwnProperties(bytes, at, form)
    at += properties.copy(bytes, at)
  }
  payload.copy(bytes, at)
  return bytes
}

function ownPropertiesSize({ identifiers, expiry, alias }: PublishForm): number {
  let size = (expiry === undefined ? 0 : 5) + (alias > 0 ? 3 : 0)
  for (const identifier of identifiers) size += 1 + variableSize(identifier)
  return size
}

function writeOwnProperties(bytes: Buffer, at: number, { identifiers, expiry, alias }: PublishForm): number {
  if (expiry !== undefined) {
    bytes[at++] = MESSAGE_EXPIRY
    at = bytes.writeUInt32BE(expiry, at)
  }
  if (alias > 0) {
    bytes[at++] = TOPIC_ALIAS
    at = bytes.writeUInt16BE(alias, at)
  }
  for (const identifier of identifiers) {
    bytes[at++] = SUBSCRIPTION_IDENTIFIER
    at = writeVariable(bytes, at, identifier)
  }
  return at
}
