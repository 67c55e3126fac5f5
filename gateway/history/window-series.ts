/** Results of windows as series: of a key that is not just a device, which has its own. */
import { type Kind, NUMBER, TEXT } from '../reading.ts'
import type { NumberStatistics, TextStatistics, WindowRecord } from '../record.ts'
import type { WindowDefinition } from '../window/definition.ts'
import { type Fields, seriesId, windowOwner } from './block.ts'
import { createSeries, type OpenSeries, type Rollup } from './rollup.ts'

export interface WindowSeries {
  add(record: WindowRecord, bucket: number): void
}

/** Keys whose series are remembered; one forgotten begins a series anew. */
const REMEMBERED = 20_000

/** Whether a window says of a device what the device's own series say. */
export function isOfDevice({ by, where }: WindowDefinition): boolean {
  return where === undefined && by.includes('device') && by.every((part) => part === 'device' || part === 'stream')
}

export function createWindowSeries(rollup: Rollup): WindowSeries {
  const known = new Map<string, OpenSeries>()
  const shapes = new Map<string, Fields>()
  const fieldsOf = (record: WindowRecord): Fields => {
    const names = Object.keys(record.fields)
    const kinds = names.map((name): Kind => ('values' in (record.fields[name] ?? {}) ? TEXT : NUMBER))
    const key = `${kinds.join('')}${names.join('\0')}`
    const shape = shapes.get(key) ?? { names, kinds }
    if (shapes.size < REMEMBERED) shapes.set(key, shape)
    return shape
  }
  return {
    add(record, bucket) {
      if (!(bucket >= 0)) return
      const fields = fieldsOf(record)
      const owner = windowOwner(record.window, record.key)
      let series = known.get(owner)
      if (series?.fields !== fields) {
        if (known.size >= REMEMBERED) known.clear()
        series = createSeries(series?.id ?? seriesId(owner, undefined), fields)
        known.set(owner, series)
      }
      rollup.merge(series, bucket, rowOf(record, fields))
    },
  }
}

/** The mean weighs as much as the readings it is of, though a field may have been in some of them only. */
function rowOf({ fields, count }: WindowRecord, { names, kinds }: Fields) {
  const values = new Float64Array(3 * names.length)
  const texts: string[] = []
  names.forEach((name, i) => {
    const statistics = fields[name]
    if (kinds[i] === TEXT) {
      texts[i] = mostFrequent(statistics as TextStatistics)
      return
    }
    const { min, max, mean } = pointOf(statistics as NumberStatistics)
    values[3 * i] = min
    values[3 * i + 1] = max
    values[3 * i + 2] = mean * count
  })
  return { count, values, texts }
}

function pointOf({ count, min, max, mean, sum, ...others }: NumberStatistics) {
  const middle = mean ?? (sum === undefined ? undefined : sum / count) ?? firstNumber(others) ?? count
  return { min: min ?? middle, max: max ?? middle, mean: middle }
}

/** Of a window that is asked for neither mean nor sum: what it is asked for. */
function firstNumber(others: Readonly<Record<string, unknown>>): number | undefined {
  return Object.values(others).find((value): value is number => typeof value === 'number')
}

function mostFrequent({ values }: TextStatistics): string {
  return Object.entries(values).reduce((best, one) => (one[1] > best[1] ? one : best), ['', 0] as [string, number])[0]
}
