/** What may stand under `coap:` in the config; LwM2M takes the same and more. */
import { z } from 'zod'
import { duration } from '../options.ts'
import { address, isLoopback } from './address.ts'

const addresses = (what: string) =>
  z
    .union([address(), z.array(address())])
    .transform((given) => (Array.isArray(given) ? given : [given]))
    .describe(what)

const dtls = z
  .strictObject({
    listen: addresses('UDP address, or a list of them, for CoAP over DTLS; port 0 picks a free one.').prefault(
      '127.0.0.1:5684',
    ),
    pskFile: z
      .string()
      .min(1)
      .describe(
        'File of keys, one `identity:key in hexadecimal` a line, read again when it changes. After it may stand ' +
          '`publish=` and `command=` with the devices it may publish for and be commanded as, divided by commas, ' +
          '`*` at the end for any ending. Without `publish=` it may publish for any device; without `command=` it is ' +
          'commanded as the device called like itself.',
      ),
    sessions: z
      .int()
      .min(1)
      .max(1_000_000)
      .default(10_000)
      .describe('Sessions kept; beyond it the one not heard of for longest ends.'),
    connectionId: z
      .boolean()
      .default(true)
      .describe('Offer a Connection ID (RFC 9146), so that a session outlives a change of address.'),
  })
  .describe('CoAP over DTLS 1.2 with pre-shared keys.')

const watched = z
  .union([
    z.string().transform((path) => ({ path, stream: undefined })),
    z.strictObject({
      path: z.string().min(1).describe('Path of the resource.'),
      stream: z.string().min(1).optional().describe('Stream its readings belong to.'),
    }),
  ])
  .describe('A resource to observe: its path, or path and stream.')

const commandTarget = z.strictObject({
  path: z.string().min(1).describe('Path of the resource the command goes to.'),
  method: z.enum(['post', 'put']).default('post').describe('Method of the request.'),
  body: z
    .enum(['command', 'args'])
    .default('command')
    .describe('What is sent: `{id,args}` as JSON, or the arguments alone (text when they are one value).'),
})

const device = z.strictObject({
  url: z
    .string()
    .regex(/^coaps?:\/\/[^/\s]+$/, 'an address of a device is coap://host[:port] or coaps://host[:port]')
    .describe('Where the device listens: coap://host[:port], or coaps://host[:port] with `identity`.'),
  identity: z.string().optional().describe('For coaps: who we are to the device; its key stands in `pskFile`.'),
  observe: z.array(watched).default([]).describe('Resources whose notifications are its telemetry.'),
  silence: duration().default(300_000).describe('Observe again when nothing was heard for this long.'),
  commands: z
    .record(z.string(), commandTarget)
    .default({})
    .describe('Where commands go by their name; others are sent as POST /command/{name}.'),
})

const fields = {
  listen: addresses('UDP address, or a list of them; port 0 picks a free one, an empty list is none.'),
  anonymous: z
    .boolean()
    .default(false)
    .describe('Let anybody send without DTLS, also from other machines. Otherwise `listen` must be loopback.'),
  dtls: dtls.optional(),
  devices: z.record(z.string().min(1), device).default({}).describe('Devices that are servers themselves, by id.'),
  answer: duration()
    .default(20_000)
    .describe('A message not durable after this long is answered 5.03, and the sender sends it again.'),
}

/** @param port the usual one of the protocol */
export function coapFields(port: number) {
  return { ...fields, listen: fields.listen.prefault(`127.0.0.1:${port}`) }
}

type Checked = z.output<z.ZodObject<ReturnType<typeof coapFields>>>

/** What cannot be said of single fields: nobody listens to the world without a key or a word about it. */
export function checkCoap(config: Checked, context: z.RefinementCtx): void {
  const open = config.listen.find((a) => !isLoopback(a))
  if (open && !config.anonymous)
    context.addIssue({
      code: 'custom',
      path: ['listen'],
      message:
        `listening on ${open.host} without keys lets anybody publish: ` +
        'say `anonymous: true`, or listen on 127.0.0.1 here and on that address under `dtls`',
    })
  for (const [id, { url, identity }] of Object.entries(config.devices))
    if (url.startsWith('coaps:') && (identity === undefined || config.dtls === undefined))
      context.addIssue({
        code: 'custom',
        path: ['devices', id, 'identity'],
        message: 'coaps needs `identity` here, and `dtls` with the pskFile that has its key',
      })
}

export const coapConfig = z.strictObject(coapFields(5683)).superRefine(checkCoap)
export type CoapConfig = z.output<typeof coapConfig>
