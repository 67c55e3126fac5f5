import { z } from 'zod'
import { listen } from '../address.ts'
import { bytes } from '../bytes.ts'
import { DURABILITY, durability, exactlyOne, named, ON_MAPPINGS, path, secret } from '../entry.ts'

/** Names of those who ask without being users. */
const MEANING = { operator: 'whoever has `token`', local: 'whoever needs no token', cli: 'the command line' } as const
const TAKEN = Object.keys(MEANING) as (keyof typeof MEANING)[]

export const httpSection = z
  .strictObject({
    listen: listen({ example: '127.0.0.1:8080' })
      .prefault('127.0.0.1:8080')
      .describe('Address or list of addresses for the API and the dashboard; `[]` for none, port 0 for a free one.'),
    token: secret({ example: 'change-me' })
      .exactOptional()
      .describe('Whoever asks must send `Authorization: Bearer TOKEN`. Without a token only this machine may ask.'),
    tokenFile: path({ example: 'token' }).exactOptional().describe('File that holds the token, instead of `token`.'),
    users: named(
      'user',
      z
        .strictObject({
          token: secret({ example: 'look-only' }).exactOptional().describe('Their token; no two may be alike.'),
          tokenFile: path({ example: 'wall-token' })
            .exactOptional()
            .describe('File that holds it, instead of `token`.'),
          role: z
            .enum(['viewer', 'operator'])
            .prefault('viewer')
            .describe('A `viewer` sees everything and changes nothing; an `operator` may do what `token` may.'),
        })
        .superRefine(
          exactlyOne(['token', 'tokenFile'], {
            none: 'a user needs `token` or `tokenFile`',
            many: (found) => `${found} are given: keep one`,
          }),
          ON_MAPPINGS,
        ),
    )
      .prefault({})
      .describe(
        'Others who may ask, by name, each with a token of their own; the name stands in the records of what they do.',
      )
      .meta({ example: { wall: { token: 'look-only', role: 'viewer' } } }),
    tls: z
      .strictObject({
        cert: path({ example: 'cert.pem' }).describe('Certificate chain, PEM file.'),
        key: path({ example: 'key.pem' }).describe('Private key, PEM file.'),
      })
      .exactOptional()
      .describe('Serve HTTPS.'),
    maxBody: bytes({ min: 1024, max: 2 ** 30 }, { example: '1MiB' })
      .prefault('1MiB')
      .describe('Largest body of a request.'),
    durability: durability().prefault('fsync').describe(DURABILITY),
  })
  .superRefine(({ users }, context) => {
    for (const taken of TAKEN.filter((one) => Object.hasOwn(users, one))) {
      const message = `\`${taken}\` is what the gateway calls ${MEANING[taken]}: choose another name`
      context.addIssue({ code: 'custom', message, path: ['users', taken], params: { at: 'key' } })
    }
  })
  .superRefine((value, context) => {
    if (value.token === undefined || value.tokenFile === undefined) return
    const message = '`token` and `tokenFile` are both given: keep one'
    context.addIssue({ code: 'custom', message, path: ['tokenFile'], params: { at: 'key' } })
  })
  .prefault({})
  .describe('The HTTP API and the dashboard.')
