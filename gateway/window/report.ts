/** What a record says of a pane. */
import type { NumberStatistics, TextStatistics } from '../record.ts'
import type { Distinct } from './distinct.ts'
import type { Extra } from './extra.ts'
import type { Layout } from './layout.ts'
import { put } from './put.ts'
import { COUNT, reportRow, type StatisticsPlan } from './statistics.ts'

type FieldReport = NumberStatistics | TextStatistics
type FieldReports = Record<string, FieldReport>

/**
 * The fields in the order in which they first appeared.
 *
 * @param base where the row of the first number stands in the chunk
 */
export function reportOf(
  layout: Layout,
  statistics: StatisticsPlan,
  chunk: Float64Array,
  base: number,
  extra: Extra | undefined,
): FieldReports {
  const reports: FieldReports = {}
  let number = 0
  let text = 0
  for (let i = 0; i < layout.names.length; i++) {
    const name = layout.names[i] as string
    if (layout.text[i]) {
      // A field that came as numbers and as text has two reports; the one for text says so in its name.
      const label = layout.columns.has(`n${name}`) ? `${name}#text` : name
      const counts = extra?.texts[text]
      if (counts) put<FieldReport>(reports, label, withDistinct(counts.report(), extra.textDistinct[text]))
      text++
    } else {
      const row = base + number * statistics.stride
      if (chunk[row + COUNT] !== 0) {
        const report = reportRow(chunk, row, statistics, extra?.sketches[number], extra?.distinct[number])
        put<FieldReport>(reports, name, report)
      }
      number++
    }
  }
  return reports
}

function withDistinct(report: TextStatistics, distinct: Distinct | undefined): TextStatistics {
  return distinct ? Object.assign(report, { distinct: distinct.count() }) : report
}
