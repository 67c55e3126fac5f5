/** What a server makes of a ClientHello: what both can do, or why nothing comes of it. */
import { HANDSHAKE_FAILURE, PROTOCOL_VERSION } from './connection.ts'
import { type ClientHello, EXTENDED_MASTER_SECRET, RENEGOTIATION_INFO, RENEGOTIATION_SCSV } from './hello.ts'
import { DTLS_1_2 } from './record.ts'
import { SUITES, type Suite } from './suite.ts'

export interface Agreement {
  readonly suite: Suite
  /** Use the extended master secret (RFC 7627). */
  readonly extended: boolean
  /** It asks to be told that renegotiation is bound to its handshake (RFC 5746). */
  readonly renegotiationInfo: boolean
}

export interface Disagreement {
  readonly alert: number
  readonly reason: string
}

export function negotiate({ version, suites, compressions, extensions }: ClientHello): Agreement | Disagreement {
  // Later versions have smaller numbers.
  if (version > DTLS_1_2) return { alert: PROTOCOL_VERSION, reason: 'the client has no DTLS 1.2' }
  const suite = SUITES.find((s) => suites.includes(s.id))
  if (!suite || !compressions.includes(0)) return { alert: HANDSHAKE_FAILURE, reason: 'no cipher suite in common' }
  return {
    suite,
    extended: extensions.has(EXTENDED_MASTER_SECRET),
    renegotiationInfo: extensions.has(RENEGOTIATION_INFO) || suites.includes(RENEGOTIATION_SCSV),
  }
}
