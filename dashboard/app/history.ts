/** What a field was, as the gateway keeps it, for charts. */
import { useEffect, useState } from 'preact/hooks'
import { api, type HistoryAnswer, type HistoryQuestion } from './api.ts'

/** Spans that a person may choose, with their length in seconds. */
export const RANGES = { '15m': 900, '1h': 3600, '6h': 21_600, '24h': 86_400, '7d': 604_800, '30d': 2_592_000 } as const
export type Range = keyof typeof RANGES

const POINTS = 300
/** News come by themselves; this is for what was missed, ms. */
const LEAST = 15_000

/** The answer for the question, asked again about as often as a point is long. Undefined: not yet, or none is kept. */
export function useHistory(question: HistoryQuestion | undefined, range: Range): HistoryAnswer | undefined {
  const key = question && JSON.stringify([question, range])
  const [known, setKnown] = useState<{ key: string | undefined; answer: HistoryAnswer }>()
  useEffect(() => {
    if (!question) return
    let over = false
    const ask = () =>
      api.history({ ...question, from: range, points: POINTS }).then(
        (answer) => over || setKnown({ key, answer }),
        // What is known stays; a gateway without history has nothing to show but news.
        () => undefined,
      )
    void ask()
    const timer = setInterval(ask, Math.max(LEAST, (RANGES[range] * 1000) / POINTS))
    return () => {
      over = true
      clearInterval(timer)
    }
  }, [key])
  return known && known.key === key ? known.answer : undefined
}

/** One moment of a line with its extent. */
export interface Point {
  /** Seconds since the epoch. */
  readonly at: number
  readonly min: number
  readonly max: number
  readonly mean: number
}

export function pointsOf(answer: HistoryAnswer | undefined): Point[] {
  if (!answer?.mean) return []
  const { times, min = [], max = [], mean } = answer
  return times.map((at, i) => {
    const middle = mean[i] ?? Number.NaN
    return { at: at / 1000, min: min[i] ?? middle, max: max[i] ?? middle, mean: middle }
  })
}

/** What came since the page was opened takes the place of what the gateway has for that time. */
export function follow(points: readonly Point[], news: readonly Point[]): readonly Point[] {
  const [first] = news
  return first ? [...points.filter(({ at }) => at < first.at), ...news] : points
}
