/** The Connection IDs we gave out (RFC 9146), and whose they are. */
import { randomBytes } from 'node:crypto'
import type { Connection } from './connection.ts'

/** Bytes: what a JavaScript number holds exactly. */
export const CID_LENGTH = 6

export interface ConnectionIds {
  /** Gives a connection a fresh one. */
  assign(connection: Connection): Buffer
  find(cid: Buffer): Connection | undefined
  release(connection: Connection): void
}

export function createConnectionIds(): ConnectionIds {
  const connections = new Map<number, Connection>()
  const numberOf = (cid: Buffer) => cid.readUIntBE(0, CID_LENGTH)
  return {
    assign(connection) {
      let cid = randomBytes(CID_LENGTH)
      while (connections.has(numberOf(cid))) cid = randomBytes(CID_LENGTH)
      connection.ownCid = numberOf(cid)
      connections.set(connection.ownCid, connection)
      return cid
    },
    find: (cid) => connections.get(numberOf(cid)),
    release(connection) {
      if (connection.ownCid !== undefined) connections.delete(connection.ownCid)
    },
  }
}
