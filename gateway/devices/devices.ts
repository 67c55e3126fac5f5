/** What the gateway remembers of a device beyond its windows: its last reading. Nothing is allocated per reading. */
import { BOOLEAN, fieldsOf, type LastReading, NUMBER, type Reading, TEXT } from '../reading.ts'

/** Copies the row into the device's last reading. */
export function rememberReading(reading: Reading): void {
  const { device, shape } = reading
  let last = device.last
  if (last === undefined) {
    last = emptyLast(reading)
    device.last = last
  }
  if (last.shape !== shape) {
    last.shape = shape
    if (last.numbers.length < shape.size) last.numbers = numbersFor(shape.size)
    last.texts.length = 0
  }
  last.source = reading.source
  last.stream = reading.stream
  last.tags = reading.tags
  last.time = reading.time
  last.received = reading.received
  last.count++
  copyValues(reading, last)
}

function copyValues(reading: Reading, last: LastReading): void {
  const { kinds } = reading.shape
  for (let i = 0; i < kinds.length; i++) {
    if (kinds[i] === TEXT) last.texts[i] = reading.texts[i] as string
    else last.numbers[i] = reading.numbers[i] as number
  }
}

function emptyLast(reading: Reading): LastReading {
  return {
    source: reading.source,
    stream: undefined,
    tags: reading.tags,
    time: 0,
    received: 0,
    shape: reading.shape,
    numbers: numbersFor(reading.shape.size),
    texts: reading.shape.kinds.includes(TEXT) ? new Array<string>(reading.shape.size).fill('') : [],
    count: 0,
  }
}

/** An array and no typed one, which would take 150 bytes more. */
function numbersFor(size: number): number[] {
  return new Array<number>(size).fill(Number.NaN)
}

/** The last reading's fields as a plain object. */
export function lastFields(last: LastReading): Record<string, number | string | boolean> {
  return fieldsOf(last)
}

/** One field of a device's last reading, or undefined when it has none of that name. */
export function lastValue(last: LastReading | undefined, field: string): number | string | boolean | undefined {
  const at = last ? last.shape.indexOf(field) : -1
  if (last === undefined || at < 0) return undefined
  const kind = last.shape.kinds[at]
  if (kind === NUMBER) return last.numbers[at]
  return kind === BOOLEAN ? last.numbers[at] === 1 : last.texts[at]
}
