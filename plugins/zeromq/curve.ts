/**
 * 25/ZMTP-CURVE, which is 26/CurveZMQ inside commands. C and S are the lasting keys of client and server, C' and S'
 * those of this connection; Box [x](a→b) is sealed with a's secret and b's public key.
 *
 *   client                                                        server
 *     HELLO     version (2) │ zeros (72) │ C' │ nonce (8) │ Box [zeros (64)](C'→S)                ─▶
 *     ◀─ WELCOME   nonce (16) │ Box [S' │ cookie (96)](S→C')
 *     INITIATE  cookie │ nonce (8) │ Box [C │ nonce (16) │ Box [C' │ S](C→S') │ properties](C'→S')  ─▶
 *     ◀─ READY     nonce (8) │ Box [properties](S'→C')
 *     ◀─ MESSAGE   nonce (8) │ Box [flags (1) │ body](between S' and C')                            ─▶
 *
 * A nonce is 24 bytes: a text that names its use, then the 8 or 16 bytes sent. The 8 are a counter that each side keeps
 * and that only grows, so nothing can be played back. The RFC lets a server put its state into the cookie and forget
 * it; a connection here keeps it, so its cookie is only random bytes that must come back.
 *
 * In a MESSAGE's flags, unlike a frame's, 1 is MORE and 2 is COMMAND. libzmq sends it as a message frame, not as a
 * command frame as the RFC words it; both are taken, and sent is what libzmq sends.
 */
import { randomBytes, timingSafeEqual } from 'node:crypto'
import { KEY_LENGTH, type KeyPair, newKeyPair, open, seal, sharedKey, TAG_LENGTH } from './box.ts'
import { ZmtpError } from './errors.ts'
import { COMMAND, MORE } from './frame.ts'
import { type MechanismFactory, type Opened, type Step, unexpected } from './mechanism.ts'
import { dataOf, decodeMetadata, encodeCommand, isCommand } from './wire-command.ts'

const HELLO_LENGTH = 194
const COOKIE_LENGTH = 96
const VOUCH_LENGTH = 96
const WELCOME_LENGTH = 16 + TAG_LENGTH + KEY_LENGTH + COOKIE_LENGTH
const INITIATE_SHORTEST = COOKIE_LENGTH + 8 + TAG_LENGTH + KEY_LENGTH + VOUCH_LENGTH

/** How much longer than its body a frame is once sealed: name, nonce, tag, flags. */
export const SEALED_MORE = 8 + 8 + TAG_LENGTH + 1

/** Both directions of a connection after the handshake, and the counters of its nonces. */
class Channel {
  key: Uint8Array = new Uint8Array(KEY_LENGTH)
  readonly #sends: string
  readonly #receives: string
  #sent = 0n
  #received = 0n

  constructor(sends: string, receives: string) {
    this.#sends = sends
    this.#receives = receives
  }

  nonce(purpose: string): Buffer {
    this.#sent++
    return counted(purpose, this.#sent)
  }

  /** @throws ZmtpError the counter did not grow: something is played back */
  peerNonce(purpose: string, bytes: Buffer): Buffer {
    const count = bytes.readBigUInt64BE(0)
    if (count <= this.#received) throw new ZmtpError('malformed', 'a nonce comes again')
    this.#received = count
    return counted(purpose, count)
  }

  seal(flags: number, body: Uint8Array): Buffer {
    const plain = Buffer.allocUnsafe(1 + body.length)
    plain[0] = ((flags & MORE) !== 0 ? 1 : 0) | ((flags & COMMAND) !== 0 ? 2 : 0)
    plain.set(body, 1)
    const nonce = this.nonce(this.#sends)
    return encodeCommand('MESSAGE', Buffer.concat([nonce.subarray(16), seal(this.key, nonce, plain)]))
  }

  open(sealed: Buffer): Opened {
    if (!isCommand(sealed, 'MESSAGE') || sealed.length < SEALED_MORE)
      throw new ZmtpError('malformed', 'a frame of an encrypted connection is not sealed')
    const nonce = this.peerNonce(this.#receives, sealed.subarray(8, 16))
    const plain = open(this.key, nonce, sealed.subarray(16))
    if (!plain) throw new ZmtpError('malformed', 'a sealed frame does not open')
    const flags = plain[0] as number
    return { flags: ((flags & 1) !== 0 ? MORE : 0) | ((flags & 2) !== 0 ? COMMAND : 0), body: plain.subarray(1) }
  }
}

export interface CurveServerOptions {
  readonly keys: KeyPair
  /** Who holds a public key, or undefined when it is not known. Absent: every key is let in, under no name. */
  readonly nameOf?: (publicKey: Buffer) => string | undefined
}

export function curveServer({ keys, nameOf }: CurveServerOptions): MechanismFactory {
  return (metadata) => {
    const channel = new Channel('CurveZMQMESSAGES', 'CurveZMQMESSAGEC')
    let own: KeyPair | undefined
    let theirs = Buffer.alloc(0)
    let cookie = Buffer.alloc(0)
    let user: string | undefined

    function hello(data: Buffer): Step {
      if (data.length !== HELLO_LENGTH || data[0] !== 1) throw new ZmtpError('malformed', 'a HELLO is malformed')
      theirs = Buffer.from(data.subarray(74, 106))
      const shared = sharedKey(keys, theirs)
      const zeros = open(shared, channel.peerNonce('CurveZMQHELLO---', data.subarray(106, 114)), data.subarray(114))
      if (!zeros) throw new ZmtpError('refused', 'the client does not know our public key')
      own = newKeyPair()
      channel.key = sharedKey(own, theirs)
      cookie = randomBytes(COOKIE_LENGTH)
      const nonce = drawn('WELCOME-')
      const sealed = seal(shared, nonce, Buffer.concat([own.publicKey, cookie]))
      return { send: encodeCommand('WELCOME', Buffer.concat([nonce.subarray(8), sealed])) }
    }

    function initiate(data: Buffer, session: KeyPair): Step {
      if (data.length < INITIATE_SHORTEST || !timingSafeEqual(data.subarray(0, COOKIE_LENGTH), cookie))
        throw new ZmtpError('malformed', 'an INITIATE is malformed')
      const nonce = channel.peerNonce('CurveZMQINITIATE', data.subarray(COOKIE_LENGTH, COOKIE_LENGTH + 8))
      const plain = open(channel.key, nonce, data.subarray(COOKIE_LENGTH + 8))
      if (!plain) throw new ZmtpError('malformed', 'an INITIATE does not open')
      const client = plain.subarray(0, KEY_LENGTH)
      const vouchNonce = Buffer.concat([Buffer.from('VOUCH---'), plain.subarray(32, 48)])
      const vouch = open(sharedKey(session, client), vouchNonce, plain.subarray(48, 128))
      if (!vouch?.equals(Buffer.concat([theirs, keys.publicKey])))
        throw new ZmtpError('refused', 'the client does not hold the key it shows')
      user = nameOf?.(client)
      if (nameOf && user === undefined) throw new ZmtpError('refused', 'the key of the client is not known')
      const peer = decodeMetadata(plain.subarray(128))
      const ready = channel.nonce('CurveZMQREADY---')
      const sealed = seal(channel.key, ready, metadata)
      return { metadata: peer, send: encodeCommand('READY', Buffer.concat([ready.subarray(16), sealed])) }
    }

    return {
      name: 'CURVE',
      asServer: true,
      get user() {
        return user
      },
      start: () => undefined,
      receive(command) {
        if (!own && isCommand(command, 'HELLO')) return hello(dataOf(command))
        if (own && isCommand(command, 'INITIATE')) return initiate(dataOf(command), own)
        throw unexpected(command)
      },
      seal: (flags, body) => channel.seal(flags, body),
      open: (sealed) => channel.open(sealed),
    }
  }
}

export interface CurveClientOptions {
  readonly keys: KeyPair
  /** The lasting public key of the server. */
  readonly server: Uint8Array
}

export function curveClient({ keys, server }: CurveClientOptions): MechanismFactory {
  return (metadata) => {
    const channel = new Channel('CurveZMQMESSAGEC', 'CurveZMQMESSAGES')
    const own = newKeyPair()
    let initiated = false

    function welcome(data: Buffer): Step {
      if (data.length !== WELCOME_LENGTH) throw new ZmtpError('malformed', 'a WELCOME is malformed')
      const nonce = Buffer.concat([Buffer.from('WELCOME-'), data.subarray(0, 16)])
      const plain = open(sharedKey(own, server), nonce, data.subarray(16))
      if (!plain) throw new ZmtpError('refused', 'the server does not hold the key we know it by')
      const session = plain.subarray(0, KEY_LENGTH)
      channel.key = sharedKey(own, session)
      const vouchNonce = drawn('VOUCH---')
      const vouch = seal(sharedKey(keys, session), vouchNonce, Buffer.concat([own.publicKey, server]))
      const secret = Buffer.concat([keys.publicKey, vouchNonce.subarray(8), vouch, metadata])
      const initiate = channel.nonce('CurveZMQINITIATE')
      const sealed = seal(channel.key, initiate, secret)
      initiated = true
      const parts = [plain.subarray(KEY_LENGTH), initiate.subarray(16), sealed]
      return { send: encodeCommand('INITIATE', Buffer.concat(parts)) }
    }

    function ready(data: Buffer): Step {
      const nonce = data.length < 8 ? undefined : channel.peerNonce('CurveZMQREADY---', data.subarray(0, 8))
      const plain = nonce && open(channel.key, nonce, data.subarray(8))
      if (!plain) throw new ZmtpError('malformed', 'a READY does not open')
      return { metadata: decodeMetadata(plain) }
    }

    return {
      name: 'CURVE',
      asServer: false,
      user: undefined,
      start() {
        const nonce = channel.nonce('CurveZMQHELLO---')
        const zeros = seal(sharedKey(own, server), nonce, Buffer.alloc(64))
        const head = Buffer.alloc(74)
        head[0] = 1
        return encodeCommand('HELLO', Buffer.concat([head, own.publicKey, nonce.subarray(16), zeros]))
      },
      receive(command) {
        if (!initiated && isCommand(command, 'WELCOME')) return welcome(dataOf(command))
        if (initiated && isCommand(command, 'READY')) return ready(dataOf(command))
        throw unexpected(command)
      },
      seal: (flags, body) => channel.seal(flags, body),
      open: (sealed) => channel.open(sealed),
    }
  }
}

function counted(purpose: string, count: bigint): Buffer {
  const nonce = Buffer.alloc(24)
  nonce.write(purpose, 'latin1')
  nonce.writeBigUInt64BE(count, 16)
  return nonce
}

/** A nonce of 16 random bytes. */
function drawn(purpose: string): Buffer {
  return Buffer.concat([Buffer.from(purpose, 'latin1'), randomBytes(16)])
}
