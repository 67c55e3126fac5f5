import { z } from 'zod'
import { isTopicFilter } from '../../broker/topics.ts'
import { listen } from '../address.ts'
import { bytes } from '../bytes.ts'
import { duration } from '../duration.ts'
import { DURABILITY, durability, flag, name, ON_MAPPINGS, path, placeholders, whole } from '../entry.ts'
import { text } from '../scalar.ts'

const filters = z.array(text(checkFilter, { example: 'telemetry/{client}/#' }))

const tls = z
  .strictObject({
    listen: listen({ example: '0.0.0.0:8883' })
      .prefault('127.0.0.1:8883')
      .describe('Address or list of addresses for MQTT over TLS.'),
    cert: path({ example: 'cert.pem' }).describe('Certificate chain, PEM file.'),
    key: path({ example: 'key.pem' }).describe('Private key, PEM file.'),
    ca: path({ example: 'ca.pem' }).exactOptional().describe('Authorities that sign client certificates, PEM file.'),
    clientCertificates: z
      .enum(['none', 'optional', 'required'])
      .prefault('none')
      .describe('Whether clients show a certificate; its common name becomes the user.'),
  })
  .superRefine((value, context) => {
    if (value.clientCertificates === 'none' || value.ca !== undefined) return
    const message = `\`clientCertificates: ${value.clientCertificates}\` needs \`ca: FILE\`, the authorities to trust`
    context.addIssue({ code: 'custom', message, path: ['clientCertificates'] })
  })

const websocket = z.strictObject({
  listen: listen({ example: '0.0.0.0:8083' })
    .prefault('127.0.0.1:8083')
    .describe('Address or list of addresses for MQTT over WebSocket.'),
  path: text((value) => (value.startsWith('/') ? undefined : `a path begins with a slash: /${value}`), {
    example: '/mqtt',
  })
    .prefault('/mqtt')
    .describe('Path of the URL that clients open.'),
  tls: z
    .strictObject({
      cert: path({ example: 'cert.pem' }).describe('Certificate chain, PEM file.'),
      key: path({ example: 'key.pem' }).describe('Private key, PEM file.'),
    })
    .exactOptional()
    .describe('Serve secure WebSocket (wss).'),
})

const aclRule = z
  .strictObject({
    user: name({ example: 'lamp' }).exactOptional().describe('The rule applies to this user only.'),
    client: name({ example: 'lamp-3' }).exactOptional().describe('The rule applies to this client id only.'),
    publish: filters
      .exactOptional()
      .describe(
        "Topic filters that may be published to; `{user}` and `{client}` stand for the connection's own names.",
      ),
    subscribe: filters.exactOptional().describe('Topic filters that may be subscribed to.'),
  })
  .superRefine((rule, context) => {
    if ('publish' in rule || 'subscribe' in rule) return
    context.addIssue({
      code: 'custom',
      message: 'the rule allows nothing: add `publish: [FILTER]` or `subscribe: [FILTER]`',
    })
  }, ON_MAPPINGS)

const limits = z
  .strictObject({
    packet: bytes({ min: 1024, max: 268_435_455 }, { example: '1MiB' })
      .prefault('1MiB')
      .describe('Largest packet, also before a client has logged in.'),
    connections: whole(1, 1_000_000, { example: 20_000 }).prefault(20_000).describe('Connections at a time.'),
    perAddress: whole(1, 1_000_000, { example: 200 }).prefault(200).describe('Connections at a time from one address.'),
    connectRate: whole(1, 1_000_000, { example: 2000 }).prefault(2000).describe('New connections per second.'),
    subscriberQueue: bytes({ min: 4096 }, { example: '1MB' })
      .prefault('1MB')
      .describe('What may wait for one slow subscriber before QoS 0 messages to it are dropped.'),
    receiveMaximum: whole(1, 65_535, { example: 1000 })
      .prefault(1000)
      .describe('QoS 1 and 2 messages that an MQTT 5 client may send before they are acknowledged.'),
    keepAlive: duration({ min: 1000, max: 65_535_000 }, { example: '60s' })
      .exactOptional()
      .describe('Longest keep alive of MQTT 5 clients; by default they choose.'),
    sessions: whole(0, 1_000_000, { example: 10_000 })
      .prefault(10_000)
      .describe('Sessions kept while their clients are away; the one away longest goes first.'),
    sessionExpiry: duration({ min: 1000 }, { example: '30d' })
      .exactOptional()
      .describe('Longest time that a session is kept while its client is away; by default as long as the client asks.'),
  })
  .prefault({})

export const mqttSection = z
  .strictObject({
    listen: listen({ example: '127.0.0.1:1883' })
      .prefault('127.0.0.1:1883')
      .describe('Address or list of addresses for plain MQTT; `[]` for none, port 0 for a free one.'),
    tls: tls.exactOptional().describe('MQTT over TLS.'),
    websocket: websocket.exactOptional().describe('MQTT over WebSocket.'),
    anonymous: flag()
      .exactOptional()
      .describe(
        'Whether clients may connect without credentials; by default only on loopback, and only while there is no `passwordFile`.',
      ),
    passwordFile: path({ example: 'passwords' })
      .exactOptional()
      .describe('Users and scrypt hashes, written by `sluice passwd`; read again when it changes.'),
    acl: z
      .array(aclRule)
      .exactOptional()
      .describe(
        'Who may publish and subscribe to what. Without it everyone may do everything; with it, what no rule allows is denied.',
      ),
    limits: limits.describe('Bounds that keep one client from harming others.'),
    durability: durability().prefault('fsync').describe(DURABILITY),
  })
  .prefault({})
  .describe('The MQTT broker in the gateway.')

function checkFilter(filter: string): string | undefined {
  const unknown = placeholders(filter).find((part) => part !== 'user' && part !== 'client')
  if (unknown !== undefined) return `{${unknown}} means nothing in \`${filter}\`: use {user} or {client}`
  if (isTopicFilter(filter)) return undefined
  return `\`${filter}\` is not a topic filter: + stands alone in its level, # alone in the last one`
}
