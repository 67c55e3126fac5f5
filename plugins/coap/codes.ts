/** Method and response codes (RFC 7252 §12.1, 7959, 8132, 8516). */

export const GET = 0x01
export const POST = 0x02
export const PUT = 0x03
export const DELETE = 0x04
export const FETCH = 0x05
export const PATCH = 0x06
export const IPATCH = 0x07

export const CREATED = 0x41
export const DELETED = 0x42
export const VALID = 0x43
export const CHANGED = 0x44
export const CONTENT = 0x45
export const CONTINUE = 0x5f

export const BAD_REQUEST = 0x80
export const UNAUTHORIZED = 0x81
export const BAD_OPTION = 0x82
export const FORBIDDEN = 0x83
export const NOT_FOUND = 0x84
export const METHOD_NOT_ALLOWED = 0x85
export const NOT_ACCEPTABLE = 0x86
export const REQUEST_ENTITY_INCOMPLETE = 0x88
export const PRECONDITION_FAILED = 0x8c
export const REQUEST_ENTITY_TOO_LARGE = 0x8d
export const UNSUPPORTED_CONTENT_FORMAT = 0x8f

export const INTERNAL_SERVER_ERROR = 0xa0
export const SERVICE_UNAVAILABLE = 0xa3
export const PROXYING_NOT_SUPPORTED = 0xa5

export const codesByMethod = { get: GET, post: POST, put: PUT, delete: DELETE } as const

/** True for 2.xx. */
export function isSuccess(code: number): boolean {
  return code >> 5 === 2
}
