/** Bytes that are not what was written. */
export interface Damage {
  readonly file: string
  readonly offset: number
  readonly bytes: number
  /** Numbers lost with it, if any. */
  readonly firstLost?: number
  readonly lastLost?: number
}

/** What recovery cut off: a commit that was not finished. */
export interface Torn {
  readonly file: string
  readonly offset: number
  readonly bytes: number
}

/** Reports a stretch once, however many readers come across it. */
export function oncePerPlace(report: (damage: Damage) => void): (damage: Damage) => void {
  const reported = new Set<string>()
  return (damage) => {
    const place = `${damage.file}:${damage.offset}`
    if (reported.has(place)) return
    reported.add(place)
    report(damage)
  }
}
