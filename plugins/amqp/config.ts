import { z } from 'zod'
import { duration, tls } from '../options.ts'
import { placeholders } from '../template.ts'

const PLACEHOLDERS = ['gateway', 'class', 'kind', 'device', 'window', 'rule'] as const
/** These stand in records, not in batches. */
const OF_A_RECORD: readonly string[] = ['kind', 'device', 'window', 'rule']
const COMMAND_PLACEHOLDERS: readonly string[] = ['gateway', 'device', 'command']

const ADDRESS = /^(\[[0-9a-fA-F:.]+\]|[^:[\]\s/]*):\d{1,5}$/

export interface Address {
  readonly host: string
  readonly port: number
}

function address() {
  return z
    .string()
    .refine((text) => ADDRESS.test(text) && parseAddress(text).port < 65_536, {
      message: 'an address is host:port, for example 127.0.0.1:5672',
      abort: true,
    })
    .transform(parseAddress)
}

function parseAddress(text: string): Address {
  const colon = text.lastIndexOf(':')
  return { host: text.slice(0, colon).replace(/^\[|\]$/g, '') || '0.0.0.0', port: Number(text.slice(colon + 1)) }
}

export function isLoopback(host: string): boolean {
  const bare = host.replace(/^::ffff:/, '')
  return bare === 'localhost' || bare === '::1' || /^127\.\d+\.\d+\.\d+$/.test(bare)
}

const binding = z.strictObject({
  exchange: z.string().min(1).describe('Exchange the queue is bound to.'),
  key: z.string().max(255).default('#').describe('Routing key pattern.'),
  type: z
    .enum(['topic', 'direct', 'fanout', 'headers'])
    .optional()
    .describe('Declare the exchange, durable, with this type. Default: it must be there.'),
})

const commands = z
  .strictObject({
    exchange: z.string().default('').describe('Exchange that commands are published to. Default: that of queues.'),
    key: z
      .string()
      .min(1)
      .max(255)
      .refine((key) => placeholders(key).every((name) => COMMAND_PLACEHOLDERS.includes(name)), {
        message: 'placeholders are {gateway}, {device} and {command}',
      })
      .default('command.{device}')
      .describe('Routing key of a command; {gateway}, {device} and {command} are replaced.'),
    devices: z
      .array(z.string().min(1))
      .min(1)
      .default(['*'])
      .describe('Devices that are commanded this way; `*` at the end stands for any ending.'),
  })
  .describe('With url 0-9-1: command devices by request and reply over the broker.')

const user = z.strictObject({
  password: z.string().optional().describe('Password. Default: the one in `passwordFile`.'),
  publish: z
    .array(z.string().min(1))
    .optional()
    .describe('Topics this user may send to; `*` at the end stands for any ending. Default: all.'),
  command: z
    .array(z.string().min(1))
    .optional()
    .describe('Devices this user may receive commands as, `*` as above. Default: the one called like the user.'),
})

export const config = z
  .strictObject({
    url: z
      .string()
      .regex(/^amqps?:\/\/[^/\s]+/, 'a broker is amqp://host[:port][/vhost] or amqps://')
      .optional()
      .describe('The broker: amqp://host:5672/vhost or amqps://host:5671/vhost.'),
    protocol: z
      .enum(['0-9-1', '1.0'])
      .default('0-9-1')
      .describe('What is spoken at `url`. A source takes 0-9-1 only; `listen` is always 1.0.'),
    listen: z
      .union([address(), z.array(address()).min(1)])
      .transform((given) => (Array.isArray(given) ? given : [given]))
      .optional()
      .describe('As a source: listen here for AMQP 1.0, one address or a list; port 0 picks a free one.'),
    anonymous: z
      .boolean()
      .default(false)
      .describe('With listen: let anybody in without a password, also from other machines.'),
    passwordFile: z
      .string()
      .min(1)
      .optional()
      .describe('With url: file that holds the password. With listen: lines of user:hash, as `sluice passwd` writes.'),
    users: z.record(z.string().min(1).max(256), user).default({}).describe('With listen: users, and what they may do.'),
    credit: z
      .int()
      .min(1)
      .max(2000)
      .default(500)
      .describe('With listen: messages a sender may have under way on a link before they are durable.'),
    maxMessage: z
      .int()
      .min(1024)
      .max(64 * 1024 * 1024)
      .default(1024 * 1024)
      .describe('With listen: largest message, bytes.'),
    connections: z.int().min(1).default(1000).describe('With listen: connections at a time.'),
    connectionsPerAddress: z.int().min(1).default(200).describe('With listen: connections at a time of one address.'),
    answer: z
      .enum(['disposition', 'reply'])
      .default('disposition')
      .describe('With listen: what ends a command, that the device accepts it, or only its reply.'),
    username: z.string().min(1).optional().describe('With url: user name. Default: that in the URL, or guest.'),
    password: z.string().optional().describe('With url: password.'),
    tls: tls(),
    keepalive: duration()
      .prefault('30s')
      .refine((ms) => ms >= 1000 && ms <= 3_600_000, 'between 1s and 1h')
      .describe('How often a connection shows that it lives.'),
    timeout: duration().prefault('15s').describe('How long the other side may take to answer.'),
    queue: z.string().min(1).max(255).optional().describe('As a source: queue to consume.'),
    queueType: z.enum(['classic', 'quorum']).default('classic').describe('Type of a declared queue.'),
    declare: z
      .boolean()
      .default(true)
      .describe('Declare queue and exchange, durable, when they are missing. With false they must be there.'),
    bindings: z.array(binding).default([]).describe('What the queue is bound to.'),
    arguments: z
      .record(z.string().min(1), z.union([z.string(), z.number(), z.boolean()]))
      .default({})
      .describe('Further arguments of a declared queue, for example x-dead-letter-exchange.'),
    prefetch: z
      .int()
      .min(1)
      .max(65_535)
      .default(500)
      .describe('As a source: messages the broker sends before they are acknowledged.'),
    refused: z
      .enum(['requeue', 'dead-letter'])
      .default('requeue')
      .describe('As a source: what becomes of a message the gateway could not make durable.'),
    dotsToSlashes: z
      .boolean()
      .default(false)
      .describe('As a source: dots of a routing key become slashes of the topic.'),
    commands: commands.optional(),
    commandsFrom: z
      .union([commandsFrom(), z.literal(false)])
      .optional()
      .describe(
        'As a sink: queue (1.0: address) to take commands from; false for none. Default: sluice.{gateway}.command, with 1.0 none.',
      ),
    exchange: z.string().max(255).default('sluice').describe('As a sink: exchange to publish to; a topic exchange.'),
    routingKey: template('{gateway}.{class}').describe(
      'As a sink: routing key. {gateway} and {class} are replaced; with shape record also {device} and more.',
    ),
    address: template('sluice/{gateway}/batch').describe('As a sink with protocol 1.0: address to send to.'),
    mandatory: z
      .boolean()
      .default(true)
      .describe('As a sink: keep what no queue takes and send it again, instead of letting the broker drop it.'),
    shape: z
      .enum(['batch', 'record'])
      .default('batch')
      .describe('As a sink: one message per batch, or one per record.'),
    gzip: z.boolean().default(false).describe('As a sink: compress each message.'),
    inflight: z
      .int()
      .min(1)
      .max(2000)
      .default(500)
      .describe('As a sink with shape record: how many messages may wait for their confirmation.'),
  })
  .superRefine((given, context) => {
    const wrong = (path: PropertyKey[], message: string) => context.addIssue({ code: 'custom', path, message })
    if ((given.url === undefined) === (given.listen === undefined))
      wrong([], 'give url to talk to a broker, or listen to be talked to')
    if (given.url !== undefined && given.protocol === '1.0' && (given.queue !== undefined || given.commands))
      wrong(['protocol'], 'a source with a url speaks 0-9-1: leave protocol out, or let senders come to listen')
    if (given.url !== undefined && given.password !== undefined && given.passwordFile !== undefined)
      wrong(['passwordFile'], 'give password or passwordFile, not both')
    const open = given.listen?.find(({ host }) => !isLoopback(host))
    const credentials = given.passwordFile !== undefined || Object.keys(given.users).length > 0
    if (open && !given.anonymous && !credentials)
      wrong(['listen'], `on ${open.host} anybody could send: give users or passwordFile, or say anonymous: true`)
    for (const [name, { password }] of Object.entries(given.users))
      if (password === undefined && given.passwordFile === undefined)
        wrong(['users', name], 'needs a password here, or a passwordFile that has it')
    for (const name of ['routingKey', 'address'] as const)
      if (given.shape === 'batch' && placeholders(given[name]).some((part) => OF_A_RECORD.includes(part)))
        wrong([name], 'a batch holds records of many devices: {device}, {kind}, {window} and {rule} need shape: record')
  })

function commandsFrom() {
  return z
    .string()
    .min(1)
    .max(255)
    .refine((text) => placeholders(text).every((name) => name === 'gateway'), 'the only placeholder is {gateway}')
}

export type AmqpConfig = z.output<typeof config>
export type BrokerConfig = AmqpConfig & { readonly url: string }
export type ListenConfig = AmqpConfig & { readonly listen: readonly Address[] }

function template(initial: string) {
  return z
    .string()
    .min(1)
    .max(255)
    .refine(
      (text) => placeholders(text).every((name) => PLACEHOLDERS.some((known) => known === name)),
      `placeholders are {${PLACEHOLDERS.join('}, {')}}`,
    )
    .default(initial)
}

/** `d1` covers itself, `d*` all that begin with d. */
export function covers(patterns: readonly string[], name: string): boolean {
  return patterns.some((pattern) => (pattern.endsWith('*') ? name.startsWith(pattern.slice(0, -1)) : pattern === name))
}
