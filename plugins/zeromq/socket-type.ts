/** Who may talk to whom (37/ZMTP, "The Socket-Type Property"). */
import { ZmtpError } from './errors.ts'
import type { Metadata } from './wire-command.ts'

const PARTNERS = {
  PULL: ['PUSH'],
  PUSH: ['PULL'],
  SUB: ['PUB', 'XPUB'],
  PUB: ['SUB', 'XSUB'],
  ROUTER: ['DEALER', 'REQ', 'ROUTER'],
  REP: ['REQ', 'DEALER'],
} as const satisfies Readonly<Record<string, readonly string[]>>

export type SocketType = keyof typeof PARTNERS

/** What a socket says of itself. REQ, DEALER and ROUTER say who they are; we choose to be nobody. */
export function propertiesOf(type: SocketType): Record<string, string> {
  return type === 'ROUTER' ? { 'Socket-Type': type, Identity: '' } : { 'Socket-Type': type }
}

/** The type of a peer that may talk to `type`. @throws ZmtpError */
export function partnerOf(type: SocketType, metadata: Metadata): string {
  const theirs = metadata.get('socket-type')?.toString('latin1') ?? ''
  const partners: readonly string[] = PARTNERS[type]
  if (partners.includes(theirs)) return theirs
  throw new ZmtpError('socket_type', `a ${theirs.slice(0, 16) || 'socket without type'} cannot talk to a ${type}`)
}
