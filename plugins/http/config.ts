import { z } from 'zod'
import { duration, tls } from '../options.ts'

export const config = z
  .strictObject({
    url: z
      .string()
      .regex(/^https?:\/\/[^/\s]+/, 'an endpoint is http://host[:port]/path or https://')
      .describe('Where to send: http:// or https://.'),
    method: z.enum(['POST', 'PUT']).default('POST').describe('Method of the request.'),
    shape: z
      .enum(['batch', 'record', 'ndjson'])
      .default('batch')
      .describe('One request per batch, one per record, or one per batch with a record on each line (NDJSON).'),
    gzip: z.boolean().default(false).describe('Compress bodies (Content-Encoding: gzip).'),
    token: z.string().min(1).optional().describe('Sent as Authorization: Bearer.'),
    tokenFile: z
      .string()
      .min(1)
      .optional()
      .describe('File that holds the token instead; read again after each failure.'),
    headers: z
      .record(z.string().regex(/^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/, 'not a header name'), z.string())
      .default({})
      .describe('Further headers.'),
    timeout: duration().default(30_000).describe('How long the endpoint may take to answer.'),
    tls: tls(),
  })
  .refine(({ token, tokenFile }) => token === undefined || tokenFile === undefined, {
    message: 'give token or tokenFile, not both',
    path: ['tokenFile'],
  })

export type HttpConfig = z.output<typeof config>
