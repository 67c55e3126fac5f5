/**
 * The cipher suites: pre-shared keys with AES-128 in an authenticated mode (RFC 6655 CCM, RFC 5487 GCM), and how they
 * protect a record.
 *
 *   nonce             salt 4 (from the key block) | epoch and sequence 8 (sent with the record)
 *   additional data   epoch 2 | sequence 6 | type | version | length of the plaintext                       (RFC 5246 §6.2.3.3)
 *   with a CID        8 × 0xff | 25 | cid length | 25 | version | epoch | sequence | cid | length of the plaintext     (RFC 9146 §5.3)
 */
import { type CipherCCMTypes, createCipheriv, createDecipheriv } from 'node:crypto'
import { DTLS_1_2, type DtlsRecord, HEADER, TLS12_CID, writeHeader } from './record.ts'

export interface Suite {
  readonly id: number
  readonly name: string
  readonly cipher: CipherCCMTypes
  readonly tagLength: number
}

// `aes-128-gcm` takes the same calls; the types of Node keep the modes apart.
const GCM = 'aes-128-gcm' as string as CipherCCMTypes

/** Best first. CCM_8 is last as its tag is short, but it is what small devices speak (RFC 7925). */
export const SUITES: readonly Suite[] = [
  { id: 0x00a8, name: 'TLS_PSK_WITH_AES_128_GCM_SHA256', cipher: GCM, tagLength: 16 },
  { id: 0xc0a4, name: 'TLS_PSK_WITH_AES_128_CCM', cipher: 'aes-128-ccm', tagLength: 16 },
  { id: 0xc0a8, name: 'TLS_PSK_WITH_AES_128_CCM_8', cipher: 'aes-128-ccm', tagLength: 8 },
]

export const KEY_LENGTH = 16
export const SALT_LENGTH = 4
const EXPLICIT_NONCE = 8

/** Keys of one direction. */
export interface DirectionKeys {
  readonly key: Buffer
  readonly salt: Buffer
}

/** An opened record. */
export interface Opened {
  readonly type: number
  readonly content: Buffer
}

/** A whole protected record. @param cid of the receiver, empty when it uses none */
export function seal(
  suite: Suite,
  keys: DirectionKeys,
  epoch: number,
  sequence: number,
  type: number,
  content: Uint8Array,
  cid: Uint8Array,
): Buffer {
  const withCid = cid.length > 0
  const plain = withCid ? innerPlaintext(content, type) : content
  const length = EXPLICIT_NONCE + plain.length + suite.tagLength
  const record = Buffer.allocUnsafe(HEADER + cid.length + length)
  const at = writeHeader(record, withCid ? TLS12_CID : type, DTLS_1_2, epoch, sequence, cid, length)
  record.copy(record, at, 3, 11)
  const cipher = createCipheriv(suite.cipher, keys.key, nonceOf(keys, record, at), { authTagLength: suite.tagLength })
  cipher.setAAD(additionalData(record, cid.length, plain.length), { plaintextLength: plain.length })
  record.set(cipher.update(plain), at + EXPLICIT_NONCE)
  cipher.final()
  record.set(cipher.getAuthTag(), record.length - suite.tagLength)
  return record
}

/** What is in a protected record, or undefined when it is not authentic. */
export function open(suite: Suite, keys: DirectionKeys, record: DtlsRecord): Opened | undefined {
  const { fragment, header, cid } = record
  const end = fragment.length - suite.tagLength
  if (end < EXPLICIT_NONCE) return undefined
  const nonce = nonceOf(keys, fragment, 0)
  const decipher = createDecipheriv(suite.cipher, keys.key, nonce, { authTagLength: suite.tagLength })
  const plaintextLength = end - EXPLICIT_NONCE
  try {
    decipher.setAuthTag(fragment.subarray(end))
    decipher.setAAD(additionalData(header, cid.length, plaintextLength), { plaintextLength })
    const content = decipher.update(fragment.subarray(EXPLICIT_NONCE, end))
    decipher.final()
    return record.type === TLS12_CID ? unwrap(content) : { type: record.type, content }
  } catch {
    return undefined
  }
}

function nonceOf(keys: DirectionKeys, explicit: Buffer, at: number): Buffer {
  const nonce = Buffer.allocUnsafe(SALT_LENGTH + EXPLICIT_NONCE)
  keys.salt.copy(nonce)
  explicit.copy(nonce, SALT_LENGTH, at, at + EXPLICIT_NONCE)
  return nonce
}

function additionalData(header: Buffer, cidLength: number, length: number): Buffer {
  if (cidLength === 0) {
    const data = Buffer.allocUnsafe(13)
    header.copy(data, 0, 3, 11)
    header.copy(data, 8, 0, 3)
    data.writeUInt16BE(length, 11)
    return data
  }
  const data = Buffer.allocUnsafe(10 + 11 + cidLength + 2)
  data.fill(0xff, 0, 8)
  data[8] = TLS12_CID
  data[9] = cidLength
  header.copy(data, 10, 0, 11 + cidLength)
  data.writeUInt16BE(length, 21 + cidLength)
  return data
}

function innerPlaintext(content: Uint8Array, type: number): Buffer {
  const plain = Buffer.allocUnsafe(content.length + 1)
  plain.set(content)
  plain[content.length] = type
  return plain
}

/** The real type is the last byte that is not zero. */
function unwrap(plain: Buffer): Opened | undefined {
  let at = plain.length - 1
  while (at >= 0 && plain[at] === 0) at--
  return at < 0 ? undefined : { type: plain[at] as number, content: plain.subarray(0, at) }
}
