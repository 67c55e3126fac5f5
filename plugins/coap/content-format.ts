/** Numbers for media types (IANA registry "CoAP Content-Formats"), those a gateway of telemetry meets. */

export const TEXT_PLAIN = 0
export const LINK_FORMAT = 40
export const OCTET_STREAM = 42
export const JSON_FORMAT = 50
export const CBOR = 60
export const SENML_JSON = 110
export const SENML_CBOR = 112
export const LWM2M_TLV = 11542
export const LWM2M_CBOR = 11544

/** Undefined means: bytes without a declared meaning, the decode rule decides. */
const MEDIA_TYPES: ReadonlyMap<number, string | undefined> = new Map([
  [TEXT_PLAIN, 'text/plain'],
  [OCTET_STREAM, undefined],
  [JSON_FORMAT, 'application/json'],
  [CBOR, 'application/cbor'],
  [SENML_JSON, 'application/senml+json'],
  [SENML_CBOR, 'application/senml+cbor'],
])

/** As `ct` of a link: the formats that telemetry may come in. */
export const TELEMETRY_FORMATS = [...MEDIA_TYPES.keys()].join(' ')

/** Whether telemetry may come in this format; without one it may. */
export function isTelemetryFormat(format: number | undefined): boolean {
  return format === undefined || MEDIA_TYPES.has(format)
}

/** The media type of a format, when it has a meaning for decoders. */
export function mediaType(format: number | undefined): string | undefined {
  return format === undefined ? undefined : MEDIA_TYPES.get(format)
}
