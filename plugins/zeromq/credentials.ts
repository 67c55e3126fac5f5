/** The mechanisms that the config asks for; files are read at each start. */
import { readFile } from 'node:fs/promises'
import { NotConnectedError } from '../../gateway/errors.ts'
import { readSecret } from '../options.ts'
import { type KeyPair, keyPairOf } from './box.ts'
import type { ZeromqConfig } from './config.ts'
import { curveClient, curveServer } from './curve.ts'
import { type MechanismFactory, nullMechanism, plainClient, plainServer } from './mechanism.ts'
import { decodeZ85 } from './z85.ts'

export interface Credentials {
  /** For connections we accept. */
  readonly server: MechanismFactory
  /** For connections we make. */
  readonly client: MechanismFactory
}

type Resolve = (relative: string) => string

/** @throws NotConnectedError a file cannot be read or holds no key */
export async function readCredentials(config: ZeromqConfig, resolve: Resolve): Promise<Credentials> {
  if (config.plain) {
    const { users = {}, username = '', password, passwordFile } = config.plain
    const secret = await readSecret(password, passwordFile, resolve)
    return { server: plainServer(new Map(Object.entries(users))), client: plainClient(username, secret ?? '') }
  }
  if (config.curve) {
    const { clients, serverKey } = config.curve
    const keys = await readKeys(config.curve, resolve)
    const server = curveServer({ keys, ...(clients && { nameOf: namesOf(clients) }) })
    const known = serverKey === undefined ? undefined : decodeZ85(serverKey)
    return { server, client: known ? curveClient({ keys, server: known }) : nullMechanism }
  }
  return { server: nullMechanism, client: nullMechanism }
}

function namesOf(clients: Readonly<Record<string, string>>): (publicKey: Buffer) => string | undefined {
  const names = new Map(Object.entries(clients).map(([name, key]) => [decodeZ85(key)?.toString('hex') ?? '', name]))
  return (publicKey) => names.get(publicKey.toString('hex'))
}

async function readKeys(curve: NonNullable<ZeromqConfig['curve']>, resolve: Resolve): Promise<KeyPair> {
  const { secretKey, secretKeyFile = '' } = curve
  const text = secretKey ?? (await readKeyFile(resolve(secretKeyFile)))
  const secret = decodeZ85(text)
  if (secret?.length !== 32)
    throw new NotConnectedError('SLUICE_ZEROMQ_KEY', `${secretKeyFile} holds no secret key: 40 characters of Z85`)
  return keyPairOf(secret)
}

async function readKeyFile(path: string): Promise<string> {
  let text: string
  try {
    text = await readFile(path, 'utf8')
  } catch (cause) {
    throw new NotConnectedError('SLUICE_ZEROMQ_KEY', `cannot read ${path}`, { cause })
  }
  // A certificate of CZMQ has a line secret-key = "…".
  return /secret-key\s*=\s*"([^"]*)"/.exec(text)?.[1] ?? text.trim()
}
