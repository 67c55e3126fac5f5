/** From a pre-shared key to the keys of a connection (RFC 5246 §5 and §6.3, RFC 4279 §2, RFC 7627). All with SHA-256. */
import { createHash, createHmac } from 'node:crypto'
import { KEY_BLOCK } from './suite.ts'

const MASTER_SECRET = 48
const VERIFY_DATA = 12

function prf(secret: Buffer, label: string, seed: Buffer, length: number): Buffer {
  const labelled = Buffer.concat([Buffer.from(label, 'ascii'), seed])
  const parts: Buffer[] = []
  let a: Buffer = labelled
  for (let have = 0; have < length; have += 32) {
    a = createHmac('sha256', secret).update(a).digest()
    parts.push(createHmac('sha256', secret).update(a).update(labelled).digest())
  }
  return Buffer.concat(parts).subarray(0, length)
}

function premaster(psk: Buffer): Buffer {
  const secret = Buffer.alloc(4 + 2 * psk.length)
  secret.writeUInt16BE(psk.length, 0)
  secret.writeUInt16BE(psk.length, 2 + psk.length)
  psk.copy(secret, 4 + psk.length)
  return secret
}

/** @param randoms the client's and the server's */
export function masterSecret(psk: Buffer, randoms: Buffer): Buffer {
  return prf(premaster(psk), 'master secret', randoms, MASTER_SECRET)
}

/** @param sessionHash of all handshake messages up to and with the ClientKeyExchange */
export function extendedMasterSecret(psk: Buffer, sessionHash: Buffer): Buffer {
  return prf(premaster(psk), 'extended master secret', sessionHash, MASTER_SECRET)
}

/** @param randoms the server's and the client's. @param block where they go, KEY_BLOCK bytes */
export function keyBlock(master: Buffer, randoms: Buffer, block: Buffer): void {
  prf(master, 'key expansion', randoms, KEY_BLOCK).copy(block)
}

export function verifyData(master: Buffer, label: 'client finished' | 'server finished', transcript: Buffer): Buffer {
  return prf(master, label, transcript, VERIFY_DATA)
}

/** Over whole handshake messages, as if none had been fragmented. */
export function transcriptHash(messages: readonly Buffer[]): Buffer {
  const sum = createHash('sha256')
  for (const message of messages) sum.update(message)
  return sum.digest()
}
