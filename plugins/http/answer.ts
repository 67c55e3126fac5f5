/**
 * What an HTTP status means for a batch (RFC 9110, 15).
 *
 *   2xx                            taken
 *   408 425 429 5xx                not now: again, not before Retry-After
 *   401 403 404 405 407, 1xx 3xx   the endpoint is not set up right: again, for the batch is not to blame
 *   other 4xx                      refused for good
 */
import { NotConnectedError, RefusedError } from '../../gateway/errors.ts'

const NOT_NOW = [408, 425, 429]
const CREDENTIALS = [401, 403, 407]
const NO_ENDPOINT = [404, 405]

/** What to throw; undefined when the batch was taken. */
export function failureOf(
  status: number,
  url: string,
  retryAfter: number | undefined,
  excerpt: string,
): Error | undefined {
  if (status >= 200 && status < 300) return undefined
  const said = `${url} answers ${status}${excerpt === '' ? '' : `: ${excerpt}`}`
  const asked = retryAfter === undefined ? {} : { retryAfter }
  if (NOT_NOW.includes(status) || status >= 500) return new NotConnectedError('SLUICE_HTTP_NOT_NOW', said, asked)
  if (CREDENTIALS.includes(status)) return new NotConnectedError('SLUICE_HTTP_CREDENTIALS', said, asked)
  if (NO_ENDPOINT.includes(status) || status < 400) return new NotConnectedError('SLUICE_HTTP_NO_ENDPOINT', said, asked)
  return new RefusedError('SLUICE_HTTP_REFUSED', said)
}

/**
 * Retry-After (RFC 9110, 10.2.3): seconds or a date.
 *
 * @param now wall clock, ms since the epoch
 * @returns ms, or undefined when absent or nonsense
 */
export function parseRetryAfter(value: string | undefined, now: number): number | undefined {
  if (value === undefined) return undefined
  if (/^\d+$/.test(value)) return Number(value) * 1000
  const date = Date.parse(value)
  return Number.isNaN(date) ? undefined : Math.max(0, date - now)
}
