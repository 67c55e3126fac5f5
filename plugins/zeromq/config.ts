import { z } from 'zod'
import { duration } from '../options.ts'
import { placeholders } from '../template.ts'
import { type Endpoint, endpoint, isLocal } from './endpoint.ts'
import { decodeZ85 } from './z85.ts'

const PLACEHOLDERS = ['device', 'gateway', 'class', 'kind', 'window', 'rule'] as const
/** These stand in records, not in batches. */
const OF_A_RECORD: readonly string[] = ['kind', 'device', 'window', 'rule']

/** Where one socket listens and where it connects to. */
export interface Places {
  readonly listen: readonly Endpoint[]
  readonly connect: readonly Endpoint[]
}

const FORM = 'an endpoint is tcp://host:port or ipc:///path; a socket is one, a list of them, or {listen, connect}'

const endpoints = () =>
  z.union([endpoint(), z.array(endpoint()).min(1)]).transform((given) => (Array.isArray(given) ? given : [given]))

const places = {
  listen: endpoints().optional().describe('Endpoint, or a list of them, to listen on.'),
  connect: endpoints().optional().describe('Endpoint, or a list of them, to connect to; tried again until it works.'),
}

/** A socket: an endpoint or a list of them, meant as `plain` says, or an object that says listen and connect. */
function socket(plain: 'listen' | 'connect') {
  return z.union(
    [
      endpoints().transform((given): Places => ({ listen: [], connect: [], [plain]: given })),
      z
        .strictObject(places)
        .refine(hasPlace, 'a socket needs `listen` or `connect`')
        .transform(({ listen = [], connect = [] }): Places => ({ listen, connect })),
    ],
    FORM,
  )
}

function hasPlace({ listen, connect }: { readonly listen?: unknown; readonly connect?: unknown }): boolean {
  return listen !== undefined || connect !== undefined
}

const sub = z.union(
  [
    endpoints().transform((listen) => ({ listen, connect: [], topics: [''] })),
    z
      .strictObject({
        ...places,
        topics: z
          .array(z.string())
          .min(1)
          .default([''])
          .describe('Beginnings of the topics to subscribe to. Default: everything.'),
      })
      .refine(hasPlace, 'a socket needs `listen` or `connect`')
      .transform(({ listen = [], connect = [], topics }) => ({ listen, connect, topics })),
  ],
  FORM,
)

const key = (what: string) =>
  z
    .string()
    .refine((text) => decodeZ85(text)?.length === 32, 'a key is 40 characters of Z85')
    .describe(what)

const plain = z
  .strictObject({
    users: z
      .record(z.string().min(1).max(255), z.string().min(1).max(255))
      .optional()
      .describe('Where we listen: who is let in, user name to password.'),
    username: z.string().min(1).max(255).optional().describe('Where we connect: user name.'),
    password: z.string().max(255).optional().describe('Where we connect: password.'),
    passwordFile: z.string().min(1).optional().describe('File that holds the password instead.'),
  })
  .refine(({ password, passwordFile }) => password === undefined || passwordFile === undefined, {
    message: 'give password or passwordFile, not both',
    path: ['passwordFile'],
  })

const curve = z
  .strictObject({
    secretKey: key('Our secret key, 40 characters of Z85. Better in a file.').optional(),
    secretKeyFile: z
      .string()
      .min(1)
      .optional()
      .describe('File that holds our secret key: 40 characters of Z85, or a certificate as CZMQ and pyzmq write it.'),
    clients: z
      .record(z.string().min(1), key('Public key of the client.'))
      .optional()
      .describe('Where we listen: who is let in, name to public key. Without it everybody who knows our public key.'),
    serverKey: key('Where we connect: public key of the other side.').optional(),
  })
  .refine(({ secretKey, secretKeyFile }) => (secretKey === undefined) !== (secretKeyFile === undefined), {
    message: 'give secretKey or secretKeyFile',
    path: ['secretKeyFile'],
  })

const fields = z.strictObject({
  pull: socket('listen')
    .optional()
    .describe('As a source: takes what PUSH sockets send. An endpoint to listen on, a list, or {listen, connect}.'),
  sub: sub
    .optional()
    .describe('As a source: subscribes to PUB sockets. An endpoint to listen on, or {listen, connect, topics}.'),
  router: socket('listen')
    .optional()
    .describe('As a source: takes what DEALER and REQ sockets send, and sends commands to DEALER devices.'),
  rep: socket('listen')
    .optional()
    .describe('As a source: answers each request of a REQ socket when its message is durable.'),
  commands: socket('listen')
    .optional()
    .describe('PUB socket on which commands go out, to devices that subscribe to `command/{device}/`.'),
  push: socket('connect')
    .optional()
    .describe('As a sink: PUSH socket. An endpoint to connect to, a list (batches go to one after the other), or {…}.'),
  pub: socket('listen').optional().describe('As a sink: PUB socket. An endpoint to listen on, a list, or {…}.'),
  topic: z
    .string()
    .min(1)
    .refine((topic) => placeholders(topic).every(isPlaceholder), `placeholders are {${PLACEHOLDERS.join('}, {')}}`)
    .optional()
    .describe(
      'As a source: topic of a message that is a single frame; {device} is the identity or user of the sender, else ' +
        'the name of this entry. Default: telemetry/{device}. As a sink: topic to send under. Default: ' +
        'sluice/{gateway}/batch.',
    ),
  shape: z.enum(['batch', 'record']).default('batch').describe('As a sink: one message per batch, or one per record.'),
  deviceIs: z
    .enum(['identity', 'user'])
    .optional()
    .describe(
      'Which device a connection is when commands are sent: its ZMTP identity, or its PLAIN user or name in ' +
        '`curve.clients`. Default: user where there are users or clients, else identity.',
    ),
  anonymous: z
    .boolean()
    .default(false)
    .describe(
      'Let anybody connect, also from other machines. Otherwise endpoints must be local, or plain or curve set.',
    ),
  plain: plain.optional().describe('User names and passwords (24/ZMTP-PLAIN); not encrypted.'),
  curve: curve.optional().describe('Keys (25/ZMTP-CURVE); encrypted.'),
  maxMessage: z
    .int()
    .min(1024)
    .max(256 * 1024 * 1024)
    .default(1024 * 1024)
    .describe('Longest message taken, bytes, all its frames together.'),
  connections: z.int().min(1).max(100_000).default(1000).describe('Connections taken, in all.'),
  perAddress: z.int().min(1).max(100_000).default(200).describe('Connections taken from one address.'),
  highWater: z
    .int()
    .min(64 * 1024)
    .default(1024 * 1024)
    .describe('Bytes that may wait for a peer to read; beyond it commands are not sent and requests not read.'),
  heartbeat: duration()
    .default(30_000)
    .refine((ms) => ms >= 100 && ms <= 600_000, 'between 100ms and 10m')
    .describe('After so much silence a peer is asked whether it lives; after three times as much it is gone.'),
  timeout: duration()
    .default(10_000)
    .describe('How long a handshake may take, and as a sink, how long peers may take to read a batch.'),
})

export const config = fields.superRefine((checked, context) => {
  const complain = (path: string[], message: string) => context.addIssue({ code: 'custom', path, message })
  if (SOCKETS.every((name) => checked[name] === undefined))
    complain([], `name at least one socket: ${SOCKETS.join(', ')}`)
  if (checked.push && checked.pub) complain(['pub'], 'a sink is push or pub: make two entries')
  if (checked.plain && checked.curve) complain(['curve'], 'plain or curve, not both: make two entries')
  checkTopic(checked, complain)
  checkListeners(checked, complain)
  if (!SOCKETS.some((name) => (checked[name]?.connect.length ?? 0) > 0)) return
  if (checked.plain && checked.plain.username === undefined)
    complain(['plain', 'username'], 'to connect with plain, give username and password')
  if (checked.curve && checked.curve.serverKey === undefined)
    complain(['curve', 'serverKey'], 'to connect with curve, give serverKey, the public key of the other side')
})

export type ZeromqConfig = z.output<typeof fields>

export const SOCKETS = ['pull', 'sub', 'router', 'rep', 'commands', 'push', 'pub'] as const

function checkTopic(
  { topic = '', push, pub, shape }: ZeromqConfig,
  complain: (path: string[], message: string) => void,
) {
  if (push || pub) {
    if (shape === 'batch' && placeholders(topic).some((name) => OF_A_RECORD.includes(name)))
      complain(
        ['topic'],
        'a batch holds records of many devices: {device}, {kind}, {window} and {rule} need shape: record',
      )
  } else if (placeholders(topic).some((name) => name !== 'device' && name !== 'gateway'))
    complain(['topic'], 'the topic of a source may hold {device} and {gateway}')
}

function checkListeners(checked: ZeromqConfig, complain: (path: string[], message: string) => void): void {
  const listening = SOCKETS.filter((name) => (checked[name]?.listen.length ?? 0) > 0)
  if (listening.length > 0 && checked.plain && checked.plain.users === undefined)
    complain(['plain', 'users'], 'to listen with plain, give users, who is let in')
  // A public key is public: who is let in for knowing ours could be anybody.
  if (checked.anonymous || checked.plain?.users || checked.curve?.clients) return
  for (const name of listening) {
    const open = checked[name]?.listen.find((place) => !isLocal(place))
    if (open)
      complain(
        [name],
        `${open.url} can be reached from other machines, without credentials: add \`plain: { users: … }\` or ` +
          '`curve: { clients: … }`, or `anonymous: true` if everyone may connect',
      )
  }
}

function isPlaceholder(name: string): boolean {
  return PLACEHOLDERS.some((known) => known === name)
}
