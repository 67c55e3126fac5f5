/** The 64 bytes with which both sides begin (37/ZMTP, "The Greeting"). */
import { ZmtpError } from './errors.ts'

export const GREETING_LENGTH = 64
const MAJOR = 10
const MINOR = 11
const MECHANISM = 12
const AS_SERVER = 32

export interface Greeting {
  /** 0 for ZMTP 3.0, which knows no PING and subscribes by messages. */
  readonly minor: number
  readonly mechanism: string
}

export function encodeGreeting(mechanism: string, asServer: boolean): Buffer {
  const greeting = Buffer.alloc(GREETING_LENGTH)
  greeting[0] = 0xff
  // Peers of ZMTP 1 read a frame of one byte here.
  greeting[8] = 0x01
  greeting[9] = 0x7f
  greeting[MAJOR] = 3
  greeting[MINOR] = 1
  greeting.write(mechanism, MECHANISM, 'latin1')
  greeting[AS_SERVER] = asServer ? 1 : 0
  return greeting
}

/**
 * Looks at what has come of a greeting, so that what is not ZeroMQ goes at its first byte.
 *
 * @throws ZmtpError
 */
export function checkGreeting(bytes: Buffer, length: number): void {
  if (length > 0 && bytes[0] !== 0xff) throw new ZmtpError('not_zmtp', 'the peer does not speak ZMTP')
  if (length > 9 && ((bytes[9] as number) & 1) !== 1) throw new ZmtpError('not_zmtp', 'the peer does not speak ZMTP')
  if (length > MAJOR && (bytes[MAJOR] as number) < 3)
    throw new ZmtpError('version', `the peer speaks ZMTP ${bytes[MAJOR]}: 3.0 or later is needed`)
}

/** Reads a whole greeting that `checkGreeting` let pass. Its as-server says nothing: libzmq always sends 0. */
export function decodeGreeting(bytes: Buffer): Greeting {
  const name = bytes.toString('latin1', MECHANISM, MECHANISM + 20)
  return {
    minor: bytes[MAJOR] === 3 ? (bytes[MINOR] as number) : 1,
    mechanism: name.replace(/\0+$/, ''),
  }
}
