/** Utility meters: a heartbeat every five seconds on `meters/electricity`, `meters/gas` and `meters/water`. */
import { type Sample, seeded } from '../random.ts'

export const UTILITIES = ['electricity', 'gas', 'water'] as const
const STATES = ['CA', 'TX', 'NY', 'WA', 'OR'] as const
const CITIES = ['Springfield', 'Riverside', 'Franklin', 'Greenville'] as const

export interface Heartbeat {
  readonly utility: string
  readonly service: string
  readonly state: string
  readonly city: string
  readonly kwh: number
  /** Epoch seconds. */
  readonly time: number
}

/** `meters` meters of each utility, every five seconds from `start` (epoch seconds) for `seconds`. */
export function* heartbeats(meters: number, start: number, seconds: number, seed = 3): Generator<Heartbeat> {
  const random = seeded(seed)
  for (let time = start; time < start + seconds; time += 5) {
    for (const utility of UTILITIES) {
      for (let i = 0; i < meters; i++) {
        const state = STATES[i % STATES.length] as string
        const city = CITIES[i % CITIES.length] as string
        const kwh = Math.round(random() * 2000) / 1000
        yield { utility, service: `${utility.slice(0, 1).toUpperCase()}${10_000 + i}`, state, city, kwh, time }
      }
    }
  }
}

export function sampleOf(heartbeat: Heartbeat): Sample {
  const { utility, service, city, state, kwh, time } = heartbeat
  return { topic: `meters/${utility}`, payload: `${service},Ann,Example,${city},${state},${kwh},${time}` }
}
