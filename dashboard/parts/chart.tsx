import { useEffect, useRef, useState } from 'preact/hooks'
import uPlot from 'uplot'
import { statistic, tick, time } from '../app/format.ts'
import { texts } from '../app/texts.ts'

export interface Line {
  readonly label: string
  readonly values: readonly (number | null)[]
  /** Which colour of the style sheet; soft ones are edges of a band. */
  readonly tone?: 'main' | 'soft' | 'second'
}

interface ChartParts {
  readonly label: string
  /** Seconds since the epoch, ascending. */
  readonly times: readonly number[]
  readonly lines: readonly Line[]
  readonly unit?: string | undefined
  /** Fills between the first two lines, e.g. max and min. */
  readonly band?: boolean
  /** The axis begins at zero, as for counts. */
  readonly fromZero?: boolean
  /** What the time axis spans, seconds since the epoch; by default from the first point to the last. */
  readonly span?: readonly [number, number] | undefined
}

/** Of the plot with its axis, rem; the legend comes below. */
const HEIGHT = 11

/** A chart over time that grows with its container. Below it stand the values at the cursor. */
export function Chart({ label, times, lines, unit = '', band = false, fromZero = false, span }: ChartParts) {
  const box = useRef<HTMLDivElement>(null)
  const plot = useRef<uPlot>(undefined)
  const dark = useDark()
  const shape = lines.map((line) => `${line.label} ${line.tone}`).join()
  // Built anew when the lines change, not when their values do.
  useEffect(() => {
    const element = box.current
    if (!element) return
    const rem = Number.parseFloat(getComputedStyle(document.documentElement).fontSize)
    const height = HEIGHT * rem
    const made = build(element, lines, { band, unit, fromZero, rem })
    plot.current = made
    const observer = new ResizeObserver(() => made.setSize({ width: element.clientWidth, height }))
    observer.observe(element)
    return () => {
      observer.disconnect()
      made.destroy()
    }
  }, [shape, band, unit, dark])
  useEffect(() => {
    const made = plot.current
    if (!made) return
    made.setData([[...times], ...lines.map((line) => [...line.values])], span === undefined)
    if (span) made.setScale('x', { min: span[0], max: span[1] })
  }, [shape, dark, times.length, times[0], times.at(-1), lines[0]?.values.at(-1), span?.[0]])
  const last = lines.map((line) => `${line.label} ${line.values.findLast((one) => one !== null) ?? '–'} ${unit}`)
  return (
    <figure class={times.length < 2 ? 'chart bare' : 'chart'}>
      <div ref={box} class="plot" role="img" aria-label={`${label}: ${last.join(', ')}`} />
      {times.length < 2 && <p class="quiet none">{texts.chart.noData}</p>}
    </figure>
  )
}

function useDark(): boolean {
  const [scheme] = useState(() => matchMedia('(prefers-color-scheme: dark)'))
  const [dark, setDark] = useState(scheme.matches)
  useEffect(() => {
    const changed = () => setDark(scheme.matches)
    scheme.addEventListener('change', changed)
    return () => scheme.removeEventListener('change', changed)
  }, [scheme])
  return dark
}

interface Style {
  readonly band: boolean
  readonly unit: string
  readonly fromZero: boolean
  /** Height of the page's text, px: a wall screen has wider lines too. */
  readonly rem: number
}

function build(element: HTMLElement, lines: readonly Line[], { band, unit, fromZero, rem }: Style): uPlot {
  const colour = (name: string) => () => getComputedStyle(document.documentElement).getPropertyValue(name)
  const font = `${Math.round(rem * 0.75)}px ${getComputedStyle(document.body).fontFamily}`
  const axis = { stroke: colour('--quiet'), font, ticks: { show: false }, gap: rem / 3 }
  const grid = { stroke: colour('--line'), width: 1 }
  return new uPlot(
    {
      width: element.clientWidth,
      height: HEIGHT * rem,
      cursor: { y: false, points: { size: rem * 0.4 } },
      padding: [rem / 2, rem * 1.25, 0, 0],
      ...(fromZero ? { scales: { y: { range: (_, __, max) => [0, Math.max(1, max * 1.1)] } } } : {}),
      axes: [
        {
          ...axis,
          grid: { show: false },
          space: rem * 5.5,
          size: rem * 1.9,
          values: (_, at, __, ___, step) => tick(at, step),
        },
        { ...axis, grid, size: rem * 3.5 },
      ],
      series: [
        { label: texts.chart.time, value: (_, at) => (at ? time(new Date(at * 1000).toISOString()) : '–') },
        ...lines.map(({ label, tone = 'main' }) => ({
          label,
          stroke: colour(`--chart-${tone}`),
          width: tone === 'soft' ? 0 : rem / 9,
          points: { show: tone === 'second' && band, size: rem / 3, fill: colour(`--chart-${tone}`) },
          spanGaps: true,
          value: (_: uPlot, at: number | null) => (at === null ? '–' : `${statistic(at)} ${unit}`),
        })),
      ],
      ...(band ? { bands: [{ series: [1, 2] as [number, number], fill: colour('--chart-band') }] } : {}),
    },
    [[], ...lines.map(() => [])],
    element,
  )
}
