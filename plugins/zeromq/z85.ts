/** Z85 (RFC 32): four bytes are five characters. A CURVE key of 32 bytes is 40 characters. */

const ALPHABET = '0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ.-:+=^!/*?&<>()[]{}@%$#'

export function encodeZ85(bytes: Uint8Array): string {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  let text = ''
  for (let i = 0; i + 4 <= bytes.length; i += 4) {
    let value = view.getUint32(i)
    let five = ''
    for (let k = 0; k < 5; k++) {
      five = ALPHABET.charAt(value % 85) + five
      value = Math.floor(value / 85)
    }
    text += five
  }
  return text
}

/** Undefined when the text is not Z85. */
export function decodeZ85(text: string): Buffer | undefined {
  if (text.length % 5 !== 0) return undefined
  const bytes = Buffer.alloc((text.length / 5) * 4)
  for (let i = 0; i < text.length; i += 5) {
    let value = 0
    for (let k = i; k < i + 5; k++) {
      const digit = ALPHABET.indexOf(text.charAt(k))
      if (digit < 0) return undefined
      value = value * 85 + digit
    }
    if (value > 0xffff_ffff) return undefined
    bytes.writeUInt32BE(value, (i / 5) * 4)
  }
  return bytes
}
