/** Who may publish for, and be commanded as, which device. */
import type { Peer } from './transport.ts'

export interface Rights {
  mayPublish(peer: Peer, device: string): boolean
  mayBeCommanded(peer: Peer, device: string): boolean
}

/** What a line of the key file allows; undefined where it says nothing. */
export interface Grant {
  readonly publish: readonly string[] | undefined
  readonly command: readonly string[] | undefined
}

/**
 * Peers without an identity came over a listener that is loopback or was declared anonymous, so they may do anything.
 *
 * @param grantOf what the key file says now of an identity
 */
export function createRights(grantOf: (identity: string) => Grant | undefined): Rights {
  return {
    mayPublish(peer, device) {
      if (peer.identity === undefined) return true
      const grant = grantOf(peer.identity)
      return grant !== undefined && (grant.publish === undefined || grant.publish.some((p) => covers(p, device)))
    },
    mayBeCommanded(peer, device) {
      if (peer.identity === undefined) return true
      const grant = grantOf(peer.identity)
      if (grant === undefined) return false
      return grant.command === undefined ? device === peer.identity : grant.command.some((p) => covers(p, device))
    },
  }
}

function covers(pattern: string, device: string): boolean {
  return pattern.endsWith('*') ? device.startsWith(pattern.slice(0, -1)) : pattern === device
}
