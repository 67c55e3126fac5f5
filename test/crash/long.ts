/** The long form: `node --import tsx test/crash/long.ts [cycles] [seed]` (after `npm run build`). */
import { killCycles } from './kill.ts'

async function main(): Promise<void> {
  const cycles = Number(process.argv[2] ?? 200)
  const seed = Number(process.argv[3] ?? Date.now() % 1_000_000)
  process.stdout.write(`${cycles} cycles, seed ${seed}\n`)
  const outcome = await killCycles(cycles, seed, (text) => process.stdout.write(`${text}\n`))
  process.stdout.write(`${JSON.stringify(outcome, null, 2)}\n`)
  process.exitCode = outcome.failures.length > 0 ? 1 : 0
}

void main()
