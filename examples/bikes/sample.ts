/** Bike stations: each connects, publishes one status and leaves, every five seconds, changed or not. */
import { pick, type Sample, seeded } from '../random.ts'

export interface StationStatus {
  station_id: string
  num_bikes_available: number
  num_bikes_disabled: number
  num_docks_available: number
  num_docks_disabled: number
  is_installed: boolean
  is_renting: boolean
  is_returning: boolean
  /** Epoch seconds of the last change. */
  last_reported: number
}

const TYPES = ['classic', 'electric']

/** One round of all stations; call it again for the next five seconds. @param now ms since the epoch */
export function createStations(count: number, seed = 2): (now: number) => Sample[] {
  const random = seeded(seed)
  const stations = Array.from({ length: count }, (_, i) => station(i, random))
  return (now) =>
    stations.map((status, i) => {
      if (random() < 0.3) change(status, random, now)
      const topic = `iot-2/type/${TYPES[i % 2]}/id/station-${status.station_id}/evt/status/fmt/json`
      return { topic, payload: JSON.stringify(status) }
    })
}

function station(i: number, random: () => number): StationStatus {
  const docks = pick(random, [15, 19, 23, 31])
  const bikes = Math.floor(random() * docks)
  return {
    station_id: String(100 + i),
    num_bikes_available: bikes,
    num_bikes_disabled: 0,
    num_docks_available: docks - bikes,
    num_docks_disabled: 0,
    is_installed: true,
    is_renting: true,
    is_returning: true,
    last_reported: 0,
  }
}

function change(status: StationStatus, random: () => number, now: number): void {
  const moved = random() < 0.5 ? 1 : -1
  const bikes = status.num_bikes_available + moved
  if (bikes < 0 || status.num_docks_available - moved < 0) return
  status.num_bikes_available = bikes
  status.num_docks_available -= moved
  status.is_renting = bikes > 0
  status.last_reported = Math.floor(now / 1000)
}
