/** Lets a peer in or not, before the AMQP library sees a byte of it. */
import type { Socket } from 'node:net'
import type { PluginContext } from '../../../gateway/plugin.ts'
import { MalformedError } from '../types.ts'
import {
  AMQP_HEADER,
  AUTH,
  mechanismsFrame,
  OK,
  outcomeFrame,
  readInit,
  readPlain,
  SASL_HEADER,
  SYSTEM_TEMPORARY,
} from './sasl.ts'
import type { Identity, Users } from './users.ts'

export interface DoorOptions {
  readonly users: Users
  /** Nobody needs to say who they are. */
  readonly anonymous: boolean
  /** From the first byte to a known peer, ms. */
  readonly timeout: number
}

/** A SASL frame is at most 512 bytes (part 5, 5.3.1); long passwords are let through nevertheless. */
const MAX_FRAME = 4096
const HEADER = 8

/**
 * @param admitted is given what came after, beginning with the AMQP header; the socket is paused
 */
export function openDoor(
  socket: Socket,
  options: DoorOptions,
  context: PluginContext,
  admitted: (identity: Identity, rest: Buffer) => void,
): void {
  const { users, anonymous } = options
  const mechanisms = [...(users.configured ? ['PLAIN'] : []), ...(anonymous ? ['ANONYMOUS'] : [])]
  let bytes: Buffer = Buffer.alloc(0)
  let step: () => void = readHeader
  let done = false

  const timer = context.clock.after(options.timeout, () => refuse('timeout'))

  function finish(): void {
    done = true
    timer.cancel()
    socket.off('data', data)
    socket.off('close', finish)
    socket.pause()
  }

  function refuse(reason: string, last?: Buffer): void {
    if (done) return
    finish()
    context.metrics.count(`refused_${reason}`)
    context.log.debug({ address: socket.remoteAddress, reason }, 'a peer was not let in')
    if (last) socket.end(last, () => socket.destroy())
    else socket.destroy()
  }

  function admit(identity: Identity): void {
    finish()
    admitted(identity, bytes)
  }

  function data(chunk: Buffer): void {
    bytes = bytes.length === 0 ? chunk : Buffer.concat([bytes, chunk])
    try {
      step()
    } catch {
      refuse('malformed', outcomeFrame(AUTH))
    }
  }

  function readHeader(): void {
    if (bytes.length < HEADER) {
      if (!AMQP_HEADER.subarray(0, Math.min(4, bytes.length)).equals(bytes.subarray(0, 4))) refuse('protocol')
      return
    }
    const header = bytes.subarray(0, HEADER)
    if (header.equals(SASL_HEADER)) {
      bytes = bytes.subarray(HEADER)
      step = readMechanism
      socket.write(Buffer.concat([SASL_HEADER, mechanismsFrame(mechanisms)]))
      if (bytes.length > 0) step()
      // What we speak is said before hanging up (part 2, 2.2).
    } else if (!header.equals(AMQP_HEADER)) refuse('protocol', SASL_HEADER)
    else if (anonymous) admit(undefined)
    else refuse('anonymous', SASL_HEADER)
  }

  function readMechanism(): void {
    if (bytes.length < HEADER) return
    const size = bytes.readUInt32BE(0)
    if (size < HEADER || size > MAX_FRAME) throw new MalformedError('not a SASL frame')
    if (bytes.length < size) return
    const { mechanism, response } = readInit(bytes.subarray(0, size))
    bytes = bytes.subarray(size)
    if (mechanism === 'ANONYMOUS' && anonymous) welcome(undefined)
    else if (mechanism === 'PLAIN' && users.configured) verify(response)
    else refuse('mechanism', outcomeFrame(AUTH))
  }

  function verify(response: Buffer): void {
    const plain = readPlain(response)
    if (!plain) throw new MalformedError('not a PLAIN response')
    socket.pause()
    users.verify(socket.remoteAddress ?? '', plain.user, plain.password).then(
      (right) => {
        if (done) return
        if (right) welcome(plain.user)
        else refuse('credentials', outcomeFrame(AUTH))
      },
      (error: unknown) => {
        context.log.warn({ error: String(error) }, 'log-ins cannot be checked')
        refuse('unavailable', outcomeFrame(SYSTEM_TEMPORARY))
      },
    )
  }

  function welcome(identity: Identity): void {
    socket.write(outcomeFrame(OK))
    admit(identity)
  }

  socket.on('data', data)
  socket.once('close', finish)
}
