/**
 * How two peers come to trust each other, between the greeting and the first message. A mechanism sees the bodies of
 * commands only; it owns no socket. What it throws ends the connection.
 */
import { createHash, timingSafeEqual } from 'node:crypto'
import { ZmtpError } from './errors.ts'
import { dataOf, decodeMetadata, encodeCommand, isCommand, type Metadata, nameOf } from './wire-command.ts'

/** What follows from a command of the peer. */
export interface Step {
  /** Body of the command to answer with. */
  readonly send?: Buffer
  /** The peer's properties; it is let in. */
  readonly metadata?: Metadata
}

export interface Opened {
  readonly flags: number
  readonly body: Buffer
}

export interface Mechanism {
  /** As in the greeting. */
  readonly name: 'NULL' | 'PLAIN' | 'CURVE'
  readonly asServer: boolean
  /** Who the peer has shown to be: PLAIN's user or the name of a CURVE key. */
  readonly user: string | undefined
  /** Body of the command that begins the handshake, on the side that begins. */
  start(): Buffer | undefined
  /** @throws ZmtpError */
  receive(command: Buffer): Step
  /** Seals a frame of the traffic; absent where nothing is encrypted. `flags` are MORE and COMMAND as in `frame.ts`. */
  seal?(flags: number, body: Uint8Array): Buffer
  /** @throws ZmtpError */
  open?(sealed: Buffer): Opened
}

/** Makes one for each connection; `metadata` is ours. */
export type MechanismFactory = (metadata: Buffer) => Mechanism

/** 37/ZMTP, "The NULL Security Mechanism": both say READY. */
export function nullMechanism(metadata: Buffer): Mechanism {
  return {
    name: 'NULL',
    asServer: false,
    user: undefined,
    start: () => encodeCommand('READY', metadata),
    receive(command) {
      if (isCommand(command, 'READY')) return { metadata: decodeMetadata(dataOf(command)) }
      throw unexpected(command)
    },
  }
}

/** 24/ZMTP-PLAIN, the side that asks. @param users passwords by name */
export function plainServer(users: ReadonlyMap<string, string>): MechanismFactory {
  return (metadata) => {
    let user: string | undefined
    return {
      name: 'PLAIN',
      asServer: true,
      get user() {
        return user
      },
      start: () => undefined,
      receive(command) {
        if (user === undefined && isCommand(command, 'HELLO')) {
          user = admitted(dataOf(command), users)
          return { send: encodeCommand('WELCOME') }
        }
        if (user !== undefined && isCommand(command, 'INITIATE')) {
          return { metadata: decodeMetadata(dataOf(command)), send: encodeCommand('READY', metadata) }
        }
        throw unexpected(command)
      },
    }
  }
}

/** 24/ZMTP-PLAIN, the side that is asked. */
export function plainClient(username: string, password: string): MechanismFactory {
  return (metadata) => {
    let welcome = false
    return {
      name: 'PLAIN',
      asServer: false,
      user: undefined,
      start: () => encodeCommand('HELLO', Buffer.concat([short(username), short(password)])),
      receive(command) {
        if (!welcome && isCommand(command, 'WELCOME')) {
          welcome = true
          return { send: encodeCommand('INITIATE', metadata) }
        }
        if (welcome && isCommand(command, 'READY')) return { metadata: decodeMetadata(dataOf(command)) }
        throw unexpected(command)
      },
    }
  }
}

export function unexpected(command: Buffer): ZmtpError {
  return new ZmtpError('handshake', `the handshake has no place for a command ${nameOf(command)}`)
}

function short(text: string): Buffer {
  const bytes = Buffer.from(text)
  return Buffer.concat([Buffer.from([bytes.length]), bytes])
}

/** @throws ZmtpError */
function admitted(hello: Buffer, users: ReadonlyMap<string, string>): string {
  const nameEnd = 1 + (hello[0] ?? 0)
  const passwordEnd = nameEnd + 1 + (hello[nameEnd] ?? 0)
  if (passwordEnd !== hello.length) throw new ZmtpError('malformed', 'a HELLO is cut off')
  const name = hello.toString('utf8', 1, nameEnd)
  const given = digest(hello.subarray(nameEnd + 1, passwordEnd))
  const known = users.get(name)
  // The comparison is made for unknown names too, so that its time does not tell them apart.
  const right = timingSafeEqual(given, digest(Buffer.from(known ?? '')))
  if (known === undefined || !right) throw new ZmtpError('refused', 'the user or the password is wrong')
  return name
}

function digest(bytes: Buffer): Buffer {
  return createHash('sha256').update(bytes).digest()
}
