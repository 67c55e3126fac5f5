/** Modem status: dvc3001–dvc6000 report processor and memory as numeric text, with a local time that has no zone. */
import { type Sample, seeded } from '../random.ts'

const PLACES = [
  { state: 'NSW', postcode: '2000', suburb: 'Sydney' },
  { state: 'NSW', postcode: '2010', suburb: 'Surry Hills' },
  { state: 'VIC', postcode: '3000', suburb: 'Melbourne' },
  { state: 'VIC', postcode: '3121', suburb: 'Richmond' },
  { state: 'QLD', postcode: '4000', suburb: 'Brisbane' },
  { state: 'QLD', postcode: '4101', suburb: 'South Brisbane' },
  { state: 'WA', postcode: '6000', suburb: 'Perth' },
  { state: 'WA', postcode: '6160', suburb: 'Fremantle' },
] as const
const MODELS = ['CG4000', 'CG5000', 'DX100']

export interface ModemStatus {
  readonly model: string
  readonly deviceid: string
  readonly interfacestatus: 'up' | 'down'
  readonly cpuusage: string
  readonly memoryusage: string
  readonly event_time: string
  readonly state: string
  readonly postcode: string
  readonly suburb: string
}

/** @param start event time of the first report, ms since the epoch; a report follows every `step` ms */
export function* modemStatuses(count: number, start: number, step = 5, seed = 1): Generator<ModemStatus> {
  const random = seeded(seed)
  for (let i = 0; i < count; i++) {
    const number = 3001 + Math.floor(random() * 3000)
    const place = PLACES[number % PLACES.length] as (typeof PLACES)[number]
    yield {
      model: MODELS[number % MODELS.length] as string,
      deviceid: `dvc${number}`,
      interfacestatus: random() < 0.9 ? 'up' : 'down',
      cpuusage: String(50 + Math.floor(random() * 51)),
      memoryusage: String(1000 + Math.floor(random() * 501)),
      event_time: new Date(start + i * step).toISOString().slice(0, -1),
      ...place,
    }
  }
}

export function* samples(count: number, start: number): Generator<Sample> {
  for (const status of modemStatuses(count, start)) yield sampleOf(status)
}

export function sampleOf(status: ModemStatus): Sample {
  return { topic: `telemetry/${status.deviceid}`, payload: JSON.stringify(status) }
}
