/**
 * Who may ask.
 *
 * With a token: everything but health needs `Authorization: Bearer`. A page of another site cannot know the token.
 *
 * Without one: this machine only, and not at the bidding of a web page. A page of another site that makes its visitor's
 * browser ask us is known by its Origin (or Sec-Fetch-Site); one that has bound its own name to 127.0.0.1 (DNS
 * rebinding) is known by the Host header, which carries that name.
 *
 * A browser that signed in with the token has a session cookie instead. Browsers send cookies by themselves, so with one
 * the same rules against other pages hold as without a token, and a change must name its Origin.
 *
 * The command line reads a random secret from the data directory and is let in with it in either case: whoever can read
 * that file owns the gateway anyway.
 *
 * An operator may look and change, a viewer may look. `http.token` is an operator's, and so is whoever needs none; users
 * of `http.users` have a role of their own. What changes something and is asked for by a viewer is refused with 403.
 */
import { createHash, timingSafeEqual } from 'node:crypto'
import type { IncomingMessage } from 'node:http'
import { sessionOf } from '../dashboard/cookie.ts'
import { RequestError } from '../errors.ts'

export type Role = 'operator' | 'viewer'

/** Somebody who may ask. */
export interface Caller {
  /** `local` on a gateway without tokens, `cli` for the command line, `operator` with `http.token`, else the user's name. */
  readonly name: string
  readonly role: Role
}

/** A token, and whose it is. */
export interface Credential extends Caller {
  readonly token: string
}

export interface Access {
  /** Asked at each request, so that a reload takes effect. Empty: this machine alone may ask. */
  readonly credentials: () => readonly Credential[]
  /** Secret of the local command line. */
  readonly secret: string
  /** Host names by which the gateway may be called when there is no token, besides loopback's. */
  readonly hosts: readonly string[]
  /** For which of these tokens a session's id was given. */
  readonly session?: (id: string, tokens: readonly string[]) => string | undefined
  /** Whether a path is a file of the dashboard: the same for everyone, it holds nothing to protect. */
  readonly page?: (path: string) => boolean
}

/** What is looked at of a request. */
export interface Asking extends Pick<IncomingMessage, 'headers' | 'method' | 'url'> {
  readonly socket: { readonly remoteAddress?: string | undefined; readonly localPort?: number | undefined }
}

const HEALTH = new Set(['/healthz', '/readyz'])
const SIGN_IN = '/api/session'

/** Who asks; nobody for what anyone may ask for. @throws RequestError 401, 403 or 421 */
export function checkAccess(access: Access, request: Asking): Caller | undefined {
  const caller = callerOf(access, request)
  if (access.credentials().length === 0) return caller ?? checkLocal(access, request)
  if (caller === undefined && !isOpen(access, request)) throw unauthorized(bearerOf(request))
  if (caller?.role === 'viewer' && !isReading(request) && pathOf(request) !== SIGN_IN)
    throw new RequestError(403, 'SLUICE_OPERATOR_ONLY', `${caller.name} may look, not change: sign in as an operator`)
  return caller
}

/** Who has shown by token, secret or session that they may ask. @throws RequestError 403 of another page */
export function callerOf(access: Access, request: Asking): Caller | undefined {
  const bearer = bearerOf(request)
  if (bearer !== undefined) return same(bearer, access.secret) ? CLI : credentialOf(access, bearer)
  const session = sessionOf(request)
  const tokens = access.credentials().map(({ token }) => token)
  const token = session === undefined ? undefined : access.session?.(session, tokens)
  if (token === undefined) return undefined
  checkOrigin(request)
  if (!isReading(request) && request.headers.origin === undefined) throw crossSite('an unnamed page')
  return credentialOf(access, token)
}

const CLI: Caller = { name: 'cli', role: 'operator' }
const LOCAL: Caller = { name: 'local', role: 'operator' }

/** Whose token it is. All are compared, so that the time it takes tells nothing. */
export function credentialOf(access: Access, token: string): Caller | undefined {
  let found: Caller | undefined
  for (const one of access.credentials()) if (same(token, one.token)) found ??= one
  return found && { name: found.name, role: found.role }
}

function checkLocal(access: Access, request: Asking): Caller {
  if (!isLoopback(request.socket.remoteAddress))
    throw new RequestError(403, 'SLUICE_LOOPBACK_ONLY', 'without a token only this machine may ask: set http.token')
  checkHost(access, request)
  checkOrigin(request)
  return LOCAL
}

/** What anyone may ask for. Node joins what is refused later; the path is only compared, never used. */
function isOpen(access: Access, request: Asking): boolean {
  const path = pathOf(request)
  if (HEALTH.has(path)) return true
  if (path === SIGN_IN) {
    checkOrigin(request)
    return true
  }
  if (!isReading(request) || !access.page?.(path)) return false
  // The page is shown to browsers, with the form to sign in; programs are told what they lack.
  return path !== '/' || /\btext\/html\b/.test(request.headers.accept ?? '')
}

function pathOf({ url }: Asking): string {
  return (url ?? '').split('?', 1)[0] ?? ''
}

function isReading({ method }: Asking): boolean {
  return method === 'GET' || method === 'HEAD'
}

function unauthorized(bearer: string | undefined): RequestError {
  const message = bearer === undefined ? 'authorization: bearer token needed' : 'wrong bearer token'
  return new RequestError(401, 'SLUICE_UNAUTHORIZED', message)
}

function bearerOf(request: Asking): string | undefined {
  return /^Bearer +([^\s]+)\s*$/i.exec(request.headers.authorization ?? '')?.[1]
}

/** Digests are compared, so that neither content nor length shows in the time it takes. */
function same(given: string, wanted: string): boolean {
  return timingSafeEqual(digest(given), digest(wanted))
}

function digest(text: string): Buffer {
  return createHash('sha256').update(text).digest()
}

export function isLoopback(address: string | undefined): boolean {
  if (address === undefined) return false
  const bare = address.startsWith('::ffff:') ? address.slice(7) : address
  return bare === '::1' || /^127\.\d{1,3}\.\d{1,3}\.\d{1,3}$/.test(bare)
}

function checkHost(access: Access, request: Asking): void {
  const name = hostName(request.headers.host ?? '')
  if (name === undefined || !(isLoopbackName(name) || access.hosts.includes(name)))
    throw new RequestError(421, 'SLUICE_HOST_REFUSED', `host ${request.headers.host ?? '(none)'} is not this gateway's`)
}

function isLoopbackName(name: string): boolean {
  return name === 'localhost' || name.endsWith('.localhost') || isLoopback(name)
}

/** The name without port, brackets and final dot, in lower case; undefined when it is no host. */
function hostName(host: string): string | undefined {
  const match = /^(?:\[([0-9a-f:.]+)\]|([a-z0-9_.-]+))(?::\d{1,5})?$/i.exec(host)
  return (match?.[1] ?? match?.[2])?.toLowerCase().replace(/\.$/, '')
}

function checkOrigin(request: Asking): void {
  const { origin, host } = request.headers
  if (origin !== undefined && originHost(origin) !== host?.toLowerCase()) throw crossSite(origin)
  const site = request.headers['sec-fetch-site']
  const foreign = site === 'cross-site' || site === 'same-site'
  // A person may follow a link here; what comes back cannot be read by the page the link was on.
  const visit = request.method === 'GET' && request.headers['sec-fetch-mode'] === 'navigate'
  if (foreign && !visit) throw crossSite(`a ${site} page`)
}

function originHost(origin: string): string | undefined {
  return /^https?:\/\/([^/]+)$/.exec(origin)?.[1]?.toLowerCase()
}

function crossSite(origin: string): RequestError {
  return new RequestError(403, 'SLUICE_ORIGIN_REFUSED', `requests from ${origin} are refused`)
}
