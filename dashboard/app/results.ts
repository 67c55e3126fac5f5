/** Results of windows as they come, for charts. */
import { useEffect, useState } from 'preact/hooks'
import type { WindowPage } from './api.ts'
import type { Point } from './history.ts'

export type WindowResult = WindowPage['results'][number]

const MOST = 500

/** The newest results of one window and key, joined to those that were seen before; oldest first. */
export function useSeen(newest: readonly WindowResult[]): readonly WindowResult[] {
  const [seen, setSeen] = useState<readonly WindowResult[]>([])
  const last = newest.at(-1)
  useEffect(() => setSeen((before) => joined(before, newest)), [last?.window, last?.start])
  return seen
}

function joined(before: readonly WindowResult[], newest: readonly WindowResult[]): readonly WindowResult[] {
  const last = before.at(-1)?.start ?? ''
  return [...before, ...newest.filter(({ start }) => start > last)].slice(-MOST)
}

/** A field of them; each stands in the middle of its time. */
export function resultPoints(results: readonly WindowResult[], field: string): Point[] {
  return results.flatMap(({ start, end, fields }) => {
    const { mean, min = mean, max = mean } = fields[field] ?? {}
    if (typeof mean !== 'number') return []
    return [{ at: (Date.parse(start) + Date.parse(end)) / 2000, min: Number(min), max: Number(max), mean }]
  })
}
