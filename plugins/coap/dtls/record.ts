/**
 * The record layer of DTLS 1.2 (RFC 6347 §4.1), with Connection IDs (RFC 9146 §4).
 *
 *     type 1 | version 2 | epoch 2 | sequence 6 | [cid n] | length 2 | fragment
 *
 *   epoch 0    fragment = plain content                                          before keys: hellos, key exchange
 *   epoch 1    fragment = nonce 8 | ciphertext | tag                             after ChangeCipherSpec
 *   type 25    as epoch 1; the plaintext is content | real type 1 | zeros        when a Connection ID was agreed
 *
 * A datagram holds one record or several. Epochs beyond 1 do not exist here, as renegotiation is refused.
 */

export const CHANGE_CIPHER_SPEC = 20
export const ALERT = 21
export const HANDSHAKE = 22
export const APPLICATION_DATA = 23
export const TLS12_CID = 25

export const DTLS_1_0 = 0xfeff
export const DTLS_1_2 = 0xfefd

/** Bytes before the fragment, without a Connection ID. */
export const HEADER = 13
export const LAST_SEQUENCE = 2 ** 48 - 1

export interface DtlsRecord {
  readonly type: number
  readonly version: number
  readonly epoch: number
  readonly sequence: number
  readonly cid: Buffer
  /** Everything before the fragment. */
  readonly header: Buffer
  readonly fragment: Buffer
  /** Where the next record of the datagram starts. */
  readonly end: number
}

const NO_CID = Buffer.alloc(0)

/** The record at a position of a datagram, or undefined when there is no whole one. @param cidLength of our own CIDs */
export function readRecord(data: Buffer, at: number, cidLength: number): DtlsRecord | undefined {
  const type = data[at]
  const headerLength = type === TLS12_CID ? HEADER + cidLength : HEADER
  const start = at + headerLength
  if (type === undefined || start > data.length) return undefined
  const version = data.readUInt16BE(at + 1)
  if (version !== DTLS_1_2 && version !== DTLS_1_0) return undefined
  const end = start + data.readUInt16BE(start - 2)
  if (end > data.length) return undefined
  return {
    type,
    version,
    epoch: data.readUInt16BE(at + 3),
    sequence: data.readUIntBE(at + 5, 6),
    cid: type === TLS12_CID ? data.subarray(at + 11, start - 2) : NO_CID,
    header: data.subarray(at, start),
    fragment: data.subarray(start, end),
    end,
  }
}

/** With memory of its own: a record is a view of its datagram, which may be a thousand times as large. */
export function copyRecord(record: DtlsRecord): DtlsRecord {
  const { cid, header, fragment } = record
  return { ...record, cid: Buffer.from(cid), header: Buffer.from(header), fragment: Buffer.from(fragment) }
}

/** Writes everything before the fragment; returns where that starts. */
export function writeHeader(
  into: Buffer,
  type: number,
  version: number,
  epoch: number,
  sequence: number,
  cid: Uint8Array,
  length: number,
): number {
  into[0] = type
  into.writeUInt16BE(version, 1)
  into.writeUInt16BE(epoch, 3)
  into.writeUIntBE(sequence, 5, 6)
  into.set(cid, 11)
  return into.writeUInt16BE(length, 11 + cid.length)
}

/** A record of epoch 0. */
export function plainRecord(type: number, version: number, sequence: number, fragment: Uint8Array): Buffer {
  const record = Buffer.allocUnsafe(HEADER + fragment.length)
  record.set(fragment, writeHeader(record, type, version, 0, sequence, NO_CID, fragment.length))
  return record
}
