import { readFileSync } from 'node:fs'
import { reasonOf, StartError } from '../errors.ts'

/** The token of `http.token` or `http.tokenFile`, or undefined when none is configured. @throws StartError */
export function readToken(from: { readonly token?: string; readonly tokenFile?: string }): string | undefined {
  const { token, tokenFile } = from
  if (tokenFile === undefined) return token
  const text = readText(tokenFile)
  // An empty file must not open the gateway to everyone.
  if (!/^\S+$/.test(text)) throw new StartError('SLUICE_TOKEN_FILE', `http: ${tokenFile} does not hold one token`)
  return text
}

function readText(file: string): string {
  try {
    return readFileSync(file, 'utf8').trim()
  } catch (error) {
    throw new StartError('SLUICE_TOKEN_FILE', `http: cannot read token file ${file}: ${reasonOf(error)}`, {
      cause: error,
    })
  }
}
