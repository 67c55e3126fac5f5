import { z } from 'zod'
import { listen } from '../address.ts'
import { bytes } from '../bytes.ts'
import { DURABILITY, durability, path, secret } from '../entry.ts'

export const httpSection = z
  .strictObject({
    listen: listen({ example: '127.0.0.1:8080' })
      .prefault('127.0.0.1:8080')
      .describe('Address or list of addresses for the API and the dashboard; `[]` for none, port 0 for a free one.'),
    token: secret({ example: 'change-me' })
      .exactOptional()
      .describe('Whoever asks must send `Authorization: Bearer TOKEN`. Without a token only this machine may ask.'),
    tokenFile: path({ example: 'token' }).exactOptional().describe('File that holds the token, instead of `token`.'),
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
  .superRefine((value, context) => {
    if (value.token === undefined || value.tokenFile === undefined) return
    const message = '`token` and `tokenFile` are both given: keep one'
    context.addIssue({ code: 'custom', message, path: ['tokenFile'], params: { at: 'key' } })
  })
  .prefault({})
  .describe('The HTTP API and the dashboard.')
