/**
 * The cipher suites: pre-shared keys with AES-128 in an authenticated mode (RFC 6655 CCM, RFC 5487 GCM), and how they
 * protect a record.
 *
 *   nonce             salt 4 (from the key block) | epoch and sequence 8 (sent with the record)
 *   additional data   epoch 2 | sequence 6 | type | version | length of the plaintext                       (RFC 5246 §6.2.3.3)
 *   with a CID        8 × 0xff | 25 | cid length | 25 | version | epoch | sequence | cid | length of the plaintext     (RFC 9146 §5.3)
 */
import { type CipherCCMTypes, createCipheriv, createDecipheriv } from 'node:crypto'
import { type CipherPool, KEY_LENGTH, keyOf, type PooledKey } from './cipher-pool.ts'
import { DTLS_1_2, type DtlsRecord, HEADER, TLS12_CID, writeHeader } from './record.ts'

export interface Suite {
  readonly id: number
  readonly name: string
  readonly cipher: CipherCCMTypes
  readonly tagLength: number
}

// `aes-128-gcm` takes the same calls; the types of Node keep the modes apart.
const GCM = 'aes-128-gcm' as string as CipherCCMTypes

/**
 * Best first. CCM before GCM as it goes on in ciphers that are kept (`ccm.ts`); CCM_8 is last as its tag is short, but it
 * is what small devices speak (RFC 7925).
 */
export const SUITES: readonly Suite[] = [
  { id: 0xc0a4, name: 'TLS_PSK_WITH_AES_128_CCM', cipher: 'aes-128-ccm', tagLength: 16 },
  { id: 0x00a8, name: 'TLS_PSK_WITH_AES_128_GCM_SHA256', cipher: GCM, tagLength: 16 },
  { id: 0xc0a8, name: 'TLS_PSK_WITH_AES_128_CCM_8', cipher: 'aes-128-ccm', tagLength: 8 },
]

const SALT_LENGTH = 4
const EXPLICIT_NONCE = 8

/** client key 16 | server key 16 | client salt 4 | server salt 4 (RFC 5246 §6.3). */
export const KEY_BLOCK = 2 * (KEY_LENGTH + SALT_LENGTH)

/** Keys of one direction: where they are in the session's key block. */
export interface DirectionKeys extends PooledKey {
  readonly saltAt: number
}

/** @param block KEY_BLOCK bytes */
export function directionKeys(block: Buffer, sender: 'client' | 'server'): DirectionKeys {
  const nth = sender === 'client' ? 0 : 1
  const saltAt = 2 * KEY_LENGTH + nth * SALT_LENGTH
  return { block, keyAt: nth * KEY_LENGTH, saltAt, ready: undefined, uses: 0 }
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
  pool: CipherPool,
): Buffer {
  const withCid = cid.length > 0
  const plain = withCid ? innerPlaintext(content, type) : content
  const length = EXPLICIT_NONCE + plain.length + suite.tagLength
  const record = Buffer.allocUnsafe(HEADER + cid.length + length)
  const at = writeHeader(record, withCid ? TLS12_CID : type, DTLS_1_2, epoch, sequence, cid, length)
  for (let i = 0; i < EXPLICIT_NONCE; i++) record[at + i] = record[3 + i] as number
  const nonce = nonceOf(keys, record, at)
  const additional = additionalData(record, cid.length, plain.length)
  const ready = suite.cipher === GCM ? undefined : pool.of(keys, suite.tagLength)
  if (ready) {
    ready.seal(nonce, additional, plain, record, at + EXPLICIT_NONCE)
    return record
  }
  const cipher = createCipheriv(suite.cipher, keyOf(keys), nonce, { authTagLength: suite.tagLength })
  cipher.setAAD(additional, { plaintextLength: plain.length })
  record.set(cipher.update(plain), at + EXPLICIT_NONCE)
  cipher.final()
  record.set(cipher.getAuthTag(), record.length - suite.tagLength)
  return record
}

/** What is in a protected record, or undefined when it is not authentic. */
export function open(suite: Suite, keys: DirectionKeys, record: DtlsRecord, pool: CipherPool): Opened | undefined {
  const { fragment, header, cid } = record
  const plaintextLength = fragment.length - EXPLICIT_NONCE - suite.tagLength
  if (plaintextLength < 0) return undefined
  const nonce = nonceOf(keys, fragment, 0)
  const additional = additionalData(header, cid.length, plaintextLength)
  const sealed = fragment.subarray(EXPLICIT_NONCE)
  const ready = suite.cipher === GCM ? undefined : pool.of(keys, suite.tagLength)
  const content = ready ? ready.open(nonce, additional, sealed) : openOnce(suite, keys, nonce, additional, sealed)
  if (!content) return undefined
  return record.type === TLS12_CID ? unwrap(content) : { type: record.type, content }
}

function openOnce(suite: Suite, keys: DirectionKeys, nonce: Buffer, additional: Buffer, sealed: Buffer) {
  const plaintextLength = sealed.length - suite.tagLength
  const decipher = createDecipheriv(suite.cipher, keyOf(keys), nonce, { authTagLength: suite.tagLength })
  try {
    decipher.setAuthTag(sealed.subarray(plaintextLength))
    decipher.setAAD(additional, { plaintextLength })
    const content = decipher.update(sealed.subarray(0, plaintextLength))
    decipher.final()
    return content
  } catch {
    return undefined
  }
}

function nonceOf(keys: DirectionKeys, explicit: Buffer, at: number): Buffer {
  const nonce = Buffer.allocUnsafe(SALT_LENGTH + EXPLICIT_NONCE)
  for (let i = 0; i < SALT_LENGTH; i++) nonce[i] = keys.block[keys.saltAt + i] as number
  for (let i = 0; i < EXPLICIT_NONCE; i++) nonce[SALT_LENGTH + i] = explicit[at + i] as number
  return nonce
}

function additionalData(header: Buffer, cidLength: number, length: number): Buffer {
  if (cidLength === 0) {
    const data = Buffer.allocUnsafe(13)
    for (let i = 0; i < 8; i++) data[i] = header[3 + i] as number
    for (let i = 0; i < 3; i++) data[8 + i] = header[i] as number
    data[11] = length >> 8
    data[12] = length
    return data
  }
  const end = 21 + cidLength
  const data = Buffer.allocUnsafe(end + 2)
  for (let i = 0; i < 8; i++) data[i] = 0xff
  data[8] = TLS12_CID
  data[9] = cidLength
  for (let i = 10; i < end; i++) data[i] = header[i - 10] as number
  data[end] = length >> 8
  data[end + 1] = length
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
