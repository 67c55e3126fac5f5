/**
 * What an executable carries besides the gateway: Node, and the licences of all that is in it.
 *
 * `scripts/build-bin.mjs` puts the notices in place of `process.env.SLUICE_NOTICES`; outside an executable there are none.
 */
import { inflateRawSync } from 'node:zlib'

const EMBEDDED_NOTICES = process.env.SLUICE_NOTICES

/** First releases without CVE-2024-22019 (chunked requests may use unbounded CPU time and bandwidth): major → minor, patch. */
const FIXED: Readonly<Record<number, readonly [number, number]>> = { 18: [19, 1], 20: [11, 1], 21: [6, 2] }

/** The licences of all that an executable contains; undefined when this runs in a Node of its own. */
export function embeddedNotices(): string | undefined {
  return EMBEDDED_NOTICES === undefined
    ? undefined
    : inflateRawSync(Buffer.from(EMBEDDED_NOTICES, 'base64')).toString('utf8')
}

/** @param version as in `process.version`; the line that warns of it, or undefined */
export function knownFlaw(version: string): string | undefined {
  const [major = 0, minor = 0, patch = 0] = version.slice(1).split('.').map(Number)
  const fixed = FIXED[major]
  if (fixed === undefined || minor > fixed[0] || (minor === fixed[0] && patch >= fixed[1])) return undefined
  return `node ${version} has a known flaw in its HTTP server (CVE-2024-22019): keep the HTTP API away from networks you do not trust`
}
