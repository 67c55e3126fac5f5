/** Config fields that several plugins share, and what reading them takes. */
import { readFile } from 'node:fs/promises'
import { z } from 'zod'
import { NotConnectedError } from '../gateway/errors.ts'

const UNITS: Readonly<Record<string, number>> = { ms: 1, s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 }

/** `'30s'` → 30000 (ms). */
export function duration() {
  return z
    .string()
    .regex(/^\d+(\.\d+)?(ms|s|m|h|d)$/, 'a duration is a number and ms, s, m, h or d, for example 30s')
    .transform((text) => Number.parseFloat(text) * (UNITS[text.replace(/^[\d.]+/, '')] as number))
}

export function tls() {
  return z
    .strictObject({
      ca: z
        .string()
        .min(1)
        .optional()
        .describe('File with the certificates to trust, PEM. Default: those of the system.'),
      cert: z.string().min(1).optional().describe('File with the client certificate and its chain, PEM.'),
      key: z.string().min(1).optional().describe('File with the key of the client certificate, PEM.'),
      serverName: z
        .string()
        .min(1)
        .optional()
        .describe('Name the certificate must be for. Default: the host of the URL.'),
      verify: z.boolean().default(true).describe('Check the certificate of the other side. Only for tries: false.'),
    })
    .refine(({ cert, key }) => (cert === undefined) === (key === undefined), {
      message: 'cert and key belong together: give both or none',
    })
    .optional()
    .describe('How to speak TLS; used when the URL asks for it.')
}

export type Tls = z.output<ReturnType<typeof tls>>

/** What `node:tls` calls them. */
export interface TlsOptions {
  readonly ca?: Buffer
  readonly cert?: Buffer
  readonly key?: Buffer
  readonly servername?: string
  readonly rejectUnauthorized: boolean
}

/** @throws NotConnectedError a file cannot be read; it may be there at the next try */
export async function readTls(options: Tls, path: (relative: string) => string): Promise<TlsOptions> {
  const file = async (name: 'ca' | 'cert' | 'key') => {
    const relative = options?.[name]
    return relative === undefined ? {} : { [name]: await readConfigured(path(relative)) }
  }
  return {
    ...(await file('ca')),
    ...(await file('cert')),
    ...(await file('key')),
    ...(options?.serverName === undefined ? {} : { servername: options.serverName }),
    rejectUnauthorized: options?.verify ?? true,
  }
}

/** A secret that stands in the config, or alone in a file; read again at each connection, so that it can be changed. */
export async function readSecret(
  inline: string | undefined,
  file: string | undefined,
  path: (relative: string) => string,
): Promise<string | undefined> {
  if (file === undefined) return inline
  return (await readConfigured(path(file))).toString('utf8').trim()
}

async function readConfigured(path: string): Promise<Buffer> {
  try {
    return await readFile(path)
  } catch (cause) {
    throw new NotConnectedError('SLUICE_UNREADABLE_FILE', `cannot read ${path}`, { cause })
  }
}
