/** Certificates as anyone makes them, with openssl: an authority and one for 127.0.0.1. */
import { execFileSync } from 'node:child_process'
import { existsSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'

export const NO_OPENSSL: string | false = ['/usr/bin/openssl', '/usr/local/bin/openssl'].some((path) =>
  existsSync(path),
)
  ? false
  : 'openssl is not installed'

export interface Certificates {
  readonly ca: string
  readonly cert: string
  readonly key: string
}

/** Makes the files in a folder. */
export function makeCertificates(folder: string): Certificates {
  const file = (name: string) => join(folder, name)
  const openssl = (...args: string[]) => execFileSync('openssl', args, { cwd: folder, stdio: 'ignore' })
  const curve = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes']
  openssl('req', '-x509', ...curve, '-keyout', 'ca.key', '-out', 'ca.pem', '-days', '2', '-subj', '/CN=test authority')
  openssl('req', ...curve, '-keyout', 'server.key', '-out', 'server.csr', '-subj', '/CN=localhost')
  writeFileSync(file('names'), 'subjectAltName=IP:127.0.0.1,DNS:localhost\n')
  const sign = ['-CA', 'ca.pem', '-CAkey', 'ca.key', '-CAcreateserial', '-days', '2', '-extfile', 'names']
  openssl('x509', '-req', '-in', 'server.csr', '-out', 'server.pem', ...sign)
  return { ca: file('ca.pem'), cert: file('server.pem'), key: file('server.key') }
}
