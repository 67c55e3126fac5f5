import { z } from 'zod'
import { duration, tls } from '../options.ts'
import { placeholders } from '../template.ts'

const PLACEHOLDERS = ['gateway', 'class', 'kind', 'device', 'window', 'rule'] as const
/** These stand in records, not in batches. */
const OF_A_RECORD: readonly string[] = ['kind', 'device', 'window', 'rule']

const BROKER = 'a broker is mqtt://host[:port], mqtts://, ws:// or wss://'

export const config = z
  .strictObject({
    url: z
      .string()
      .regex(/^(mqtts?|wss?):\/\/[^/\s]+/, { error: BROKER, abort: true })
      .refine((url) => URL.canParse(url), BROKER)
      .describe('The broker: mqtt://host:1883, mqtts://host:8883, ws:// or wss://.'),
    topics: z
      .array(z.string().min(1).refine(isFilter, 'not a topic filter: + and # stand alone between slashes, # last'))
      .min(1)
      .optional()
      .describe('As a source: topic filters to subscribe to.'),
    retained: z
      .boolean()
      .default(false)
      .describe('As a source: also take messages that the broker had retained. They come again at each start.'),
    topic: z
      .string()
      .min(1)
      .refine((topic) => !/[+#\0]/.test(topic), 'a topic to publish to has no + and no #')
      .refine((topic) => placeholders(topic).every(isPlaceholder), `placeholders are {${PLACEHOLDERS.join('}, {')}}`)
      .default('sluice/{gateway}/batch')
      .describe(
        'As a sink: where to publish. {gateway} and {class} are replaced; with shape record also {device} and more.',
      ),
    shape: z
      .enum(['batch', 'record'])
      .default('batch')
      .describe('As a sink: one message per batch, or one per record.'),
    gzip: z.boolean().default(false).describe('As a sink: compress each message.'),
    commands: z
      .boolean()
      .default(true)
      .describe('As a sink: also take commands, on topic sluice/{gateway}/command; they wait there while we are away.'),
    inflight: z
      .int()
      .min(1)
      .max(65_535)
      .default(100)
      .describe('As a sink with shape record: how many messages may wait for their acknowledgement.'),
    protocol: z.enum(['3.1.1', '5']).default('3.1.1').describe('MQTT version.'),
    clientId: z
      .string()
      .min(1)
      .optional()
      .describe('Client identifier. Default: sluice-, the gateway, the name of this entry and its role.'),
    username: z.string().min(1).optional().describe('User name.'),
    password: z.string().optional().describe('Password.'),
    passwordFile: z.string().min(1).optional().describe('File that holds the password instead.'),
    tls: tls(),
    keepalive: duration()
      .default(30_000)
      .refine((ms) => ms >= 1000 && ms <= 65_535_000, 'between 1s and 18h')
      .describe('How often the connection shows that it lives.'),
    timeout: duration()
      .default(15_000)
      .describe('How long the broker may take to answer, to a connection or a message.'),
  })
  .refine(({ password, passwordFile }) => password === undefined || passwordFile === undefined, {
    message: 'give password or passwordFile, not both',
    path: ['passwordFile'],
  })
  .refine(({ topic, shape }) => shape === 'record' || !placeholders(topic).some((name) => OF_A_RECORD.includes(name)), {
    message: 'a batch holds records of many devices: {device}, {kind}, {window} and {rule} need shape: record',
    path: ['topic'],
  })

export type MqttConfig = z.output<typeof config>

function isPlaceholder(name: string): boolean {
  return PLACEHOLDERS.some((known) => known === name)
}

function isFilter(filter: string): boolean {
  const levels = filter.split('/')
  return levels.every((level, i) => !/[+#]/.test(level) || level === '+' || (level === '#' && i === levels.length - 1))
}
