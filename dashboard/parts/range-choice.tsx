import { RANGES, type Range } from '../app/history.ts'
import { texts } from '../app/texts.ts'

export function RangeChoice({ range, onChange }: { range: Range; onChange: (range: Range) => void }) {
  return (
    <fieldset class="group" aria-label={texts.chart.range}>
      {(Object.keys(RANGES) as Range[]).map((one) => (
        <button key={one} type="button" aria-pressed={one === range} onClick={() => onChange(one)}>
          {texts.chart.ranges[one]}
        </button>
      ))}
    </fieldset>
  )
}
