/**
 * NaCl's boxes, which CurveZMQ is made of: X25519 for the secret two key pairs share, HSalsa20 to make a key of it,
 * XSalsa20-Poly1305 to seal. A sealed box is 16 bytes longer than what is in it.
 *
 * X25519 is node's own: in JavaScript one takes 1.4 ms, and strangers could keep the processor busy with handshakes.
 */
import { createPrivateKey, createPublicKey, diffieHellman, generateKeyPairSync, type KeyObject } from 'node:crypto'
import { hsalsa, xsalsa20poly1305 } from '@noble/ciphers/salsa'
import { ZmtpError } from './errors.ts'

export const KEY_LENGTH = 32
export const TAG_LENGTH = 16

export interface KeyPair {
  readonly secret: KeyObject
  readonly publicKey: Buffer
}

/** DER around a raw key (RFC 8410). */
const PKCS8 = Buffer.from('302e020100300506032b656e04220420', 'hex')
const SPKI = Buffer.from('302a300506032b656e032100', 'hex')
/** "expand 32-byte k" as Salsa20 reads it. */
const SIGMA = Uint32Array.from([0x61707865, 0x3320646e, 0x79622d32, 0x6b206574])

export function keyPairOf(secret: Uint8Array): KeyPair {
  const key = createPrivateKey({ key: Buffer.concat([PKCS8, secret]), format: 'der', type: 'pkcs8' })
  return { secret: key, publicKey: rawOf(createPublicKey(key)) }
}

/** A key pair for one connection. */
export function newKeyPair(): KeyPair {
  const { publicKey, privateKey } = generateKeyPairSync('x25519')
  return { secret: privateKey, publicKey: rawOf(publicKey) }
}

function rawOf(key: KeyObject): Buffer {
  return key.export({ format: 'der', type: 'spki' }).subarray(SPKI.length)
}

/** The key two pairs share: worked out once, used for every box between them. @throws ZmtpError */
export function sharedKey(mine: KeyPair, theirs: Uint8Array): Uint8Array {
  try {
    const publicKey = createPublicKey({ key: Buffer.concat([SPKI, theirs]), format: 'der', type: 'spki' })
    const words = wordsOf(diffieHellman({ privateKey: mine.secret, publicKey }))
    const key = new Uint32Array(8)
    hsalsa(SIGMA, words, new Uint32Array(4), key)
    return bytesOf(key)
  } catch (cause) {
    throw new ZmtpError('malformed', 'the peer gives a key that is none', { cause })
  }
}

export function seal(key: Uint8Array, nonce: Uint8Array, plain: Uint8Array): Uint8Array {
  return xsalsa20poly1305(key, nonce).encrypt(plain)
}

/** Undefined when it was sealed with another key, or changed since. */
export function open(key: Uint8Array, nonce: Uint8Array, sealed: Uint8Array): Buffer | undefined {
  if (sealed.length < TAG_LENGTH) return undefined
  try {
    const plain = xsalsa20poly1305(key, nonce).decrypt(sealed)
    return Buffer.from(plain.buffer, plain.byteOffset, plain.byteLength)
  } catch {
    return undefined
  }
}

/** Salsa20 reads little-endian words, whatever the machine. */
function wordsOf(bytes: Buffer): Uint32Array {
  return Uint32Array.from({ length: bytes.length / 4 }, (_, i) => bytes.readUInt32LE(i * 4))
}

function bytesOf(words: Uint32Array): Uint8Array {
  const bytes = Buffer.alloc(words.length * 4)
  for (const [i, word] of words.entries()) bytes.writeUInt32LE(word, i * 4)
  return bytes
}
