import { useEffect, useRef } from 'preact/hooks'
import uPlot from 'uplot'
import { texts } from '../app/texts.ts'

export interface Line {
  readonly label: string
  readonly values: readonly (number | null)[]
  /** Which colour of the style sheet. */
  readonly tone?: 'main' | 'soft' | 'second'
}

interface ChartParts {
  readonly label: string
  /** Seconds since the epoch, ascending. */
  readonly times: readonly number[]
  readonly lines: readonly Line[]
  /** Fills between the first two lines, e.g. max and min. */
  readonly band?: boolean
}

const HEIGHT = 190

/** A chart over time that grows with its container. */
export function Chart({ label, times, lines, band = false }: ChartParts) {
  const box = useRef<HTMLDivElement>(null)
  const plot = useRef<uPlot>(undefined)
  const shape = lines.map((line) => `${line.label} ${line.tone}`).join()
  // Built anew when the lines change, not when their values do.
  useEffect(() => {
    const element = box.current
    if (!element) return
    const made = build(element, lines, band)
    plot.current = made
    const observer = new ResizeObserver(() => made.setSize({ width: element.clientWidth, height: HEIGHT }))
    observer.observe(element)
    const scheme = matchMedia('(prefers-color-scheme: dark)')
    const redraw = () => made.redraw()
    scheme.addEventListener('change', redraw)
    return () => {
      scheme.removeEventListener('change', redraw)
      observer.disconnect()
      made.destroy()
    }
  }, [shape, band])
  useEffect(() => plot.current?.setData([[...times], ...lines.map((line) => [...line.values])]))
  const last = lines.map((line) => `${line.label} ${line.values.findLast((one) => one !== null) ?? '–'}`).join(', ')
  return (
    <figure class={times.length < 2 ? 'chart bare' : 'chart'}>
      <div ref={box} class="plot" role="img" aria-label={`${label}: ${last}`} />
      {times.length < 2 && <p class="quiet waiting">{texts.chart.noData}</p>}
    </figure>
  )
}

function build(element: HTMLElement, lines: readonly Line[], band: boolean): uPlot {
  const colour = (name: string) => () => getComputedStyle(document.documentElement).getPropertyValue(name)
  const axis = { stroke: colour('--quiet'), grid: { stroke: colour('--line'), width: 1 }, ticks: { show: false } }
  return new uPlot(
    {
      width: element.clientWidth,
      height: HEIGHT,
      legend: { show: false },
      cursor: { y: false, points: { size: 6 } },
      padding: [10, 8, 0, 0],
      axes: [
        { ...axis, grid: { show: false } },
        { ...axis, size: 56 },
      ],
      series: [
        {},
        ...lines.map(({ label, tone = 'main' }) => ({
          label,
          stroke: colour(`--chart-${tone}`),
          width: tone === 'soft' ? 0 : 1.75,
          points: { show: tone === 'second', size: 5, fill: colour(`--chart-${tone}`) },
          spanGaps: true,
        })),
      ],
      ...(band ? { bands: [{ series: [1, 2] as [number, number], fill: colour('--chart-band') }] } : {}),
    },
    [[], ...lines.map(() => [])],
    element,
  )
}
