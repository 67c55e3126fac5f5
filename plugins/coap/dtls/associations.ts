/** What is known of each address: a session, a handshake that may replace it, or both. */
import type { Connection } from './connection.ts'
import type { Handshake } from './server-handshake.ts'

interface Association {
  session: Connection | undefined
  handshake: Handshake | undefined
}

export interface Associations {
  session(address: string): Connection | undefined
  handshake(address: string): Handshake | undefined
  putSession(address: string, session: Connection): void
  putHandshake(address: string, handshake: Handshake): void
  /** Unless another is there by now. */
  dropSession(address: string, session: Connection): void
  dropHandshake(address: string, handshake: Handshake): void
}

export function createAssociations(): Associations {
  const table = new Map<string, Association>()

  function at(address: string): Association {
    const known = table.get(address)
    if (known) return known
    const made: Association = { session: undefined, handshake: undefined }
    table.set(address, made)
    return made
  }

  function tidy(address: string, { session, handshake }: Association): void {
    if (!session && !handshake) table.delete(address)
  }

  return {
    session: (address) => table.get(address)?.session,
    handshake: (address) => table.get(address)?.handshake,
    putSession(address, session) {
      at(address).session = session
    },
    putHandshake(address, handshake) {
      at(address).handshake = handshake
    },
    dropSession(address, session) {
      const association = table.get(address)
      if (association?.session !== session) return
      association.session = undefined
      tidy(address, association)
    },
    dropHandshake(address, handshake) {
      const association = table.get(address)
      if (association?.handshake !== handshake) return
      association.handshake = undefined
      tidy(address, association)
    },
  }
}
