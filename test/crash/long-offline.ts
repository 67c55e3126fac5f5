/**
 * The long form: `node --max-old-space-size=8000 --import tsx test/crash/long-offline.ts [hours]` (after `npm run build`).
 * Hours without an uplink at 100 readings a second: 24 are 8,640,000 readings.
 */
import { offline } from './offline.ts'

const PER_SECOND = 100

async function main(): Promise<void> {
  const hours = Number(process.argv[2] ?? 24)
  const windows = { 'per-device': { tumbling: '10s', by: ['device'], idle: '10m' } }
  const { failures, ...outcome } = await offline(hours * 3600 * PER_SECOND, { windows })
  process.stdout.write(`${JSON.stringify({ hours, ...outcome, failures: failures.slice(0, 20) }, null, 2)}\n`)
  process.exitCode = failures.length > 0 || outcome.repeats > 0 ? 1 : 0
}

void main()
