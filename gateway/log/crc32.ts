/**
 * CRC-32 as in zlib, gzip and PNG (ISO 3309, reflected polynomial 0xEDB88320).
 *
 * Node has it in C from 20.15 on; before that the table form below takes eight bytes a step ("slicing by 8", Kounavis
 * and Berry, 2005): table k holds what a byte contributes when k more bytes follow it.
 */
import * as zlib from 'node:zlib'

/** @param seed CRC of what precedes `bytes`; 0 at the start */
export type Crc32 = (bytes: Uint8Array, seed: number) => number

const POLYNOMIAL = 0xedb88320
const SLICES = 8

function buildTables(): Uint32Array {
  const tables = new Uint32Array(SLICES * 256)
  for (let byte = 0; byte < 256; byte++) {
    let crc = byte
    for (let bit = 0; bit < 8; bit++) crc = crc & 1 ? (crc >>> 1) ^ POLYNOMIAL : crc >>> 1
    tables[byte] = crc
  }
  for (let i = 256; i < tables.length; i++) {
    const previous = tables[i - 256] as number
    tables[i] = (previous >>> 8) ^ (tables[previous & 0xff] as number)
  }
  return tables
}

/** The table form: for Node before 20.15, and to test against. */
export function createTableCrc32(): Crc32 {
  const t = buildTables()
  return (bytes, seed) => {
    let crc = ~seed
    let i = 0
    for (const end = bytes.length - 7; i < end; i += 8) {
      const low =
        crc ^
        ((bytes[i] as number) |
          ((bytes[i + 1] as number) << 8) |
          ((bytes[i + 2] as number) << 16) |
          ((bytes[i + 3] as number) << 24))
      crc =
        (t[1792 + (low & 0xff)] as number) ^
        (t[1536 + ((low >>> 8) & 0xff)] as number) ^
        (t[1280 + ((low >>> 16) & 0xff)] as number) ^
        (t[1024 + (low >>> 24)] as number) ^
        (t[768 + (bytes[i + 4] as number)] as number) ^
        (t[512 + (bytes[i + 5] as number)] as number) ^
        (t[256 + (bytes[i + 6] as number)] as number) ^
        (t[bytes[i + 7] as number] as number)
    }
    for (; i < bytes.length; i++) crc = (crc >>> 8) ^ (t[(crc ^ (bytes[i] as number)) & 0xff] as number)
    return ~crc >>> 0
  }
}

const native = (zlib as { crc32?: Crc32 }).crc32

export const crc32: Crc32 = native ?? createTableCrc32()
