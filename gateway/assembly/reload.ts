/** A changed config takes effect: what can change live does, what cannot is named. */
import type { BrokerOptions } from '../broker/options.ts'
import type { Clock } from '../clock.ts'
import type { Loaded } from '../config/load.ts'
import { planReload } from '../config/reload.ts'
import { closeLookups, exchangeLookups, openLookups } from '../decode/lookups.ts'
import type { Checkpointing } from '../journal/checkpointing.ts'
import type { Log } from '../logging.ts'
import { definitionsOf } from '../rules/definition.ts'
import type { Entrance } from './entrance.ts'
import { httpCredentials } from './front.ts'
import type { Running } from './running.ts'
import type { Stages } from './stages.ts'

export interface ReloadParts {
  readonly running: Running
  readonly stages: Stages
  readonly entrance: Entrance
  readonly mqttOptions: (loaded: Loaded) => BrokerOptions
  readonly checkpointing: Checkpointing
  readonly clock: Clock
  readonly log: Log
}

/** One at a time. The returned function @throws StartError a file that it names cannot be used; then nothing has changed */
export function createReload(parts: ReloadParts): (next: Loaded) => Promise<void> {
  let last: Promise<void> = Promise.resolve()
  return (next) => {
    const mine = last.then(() => reload(parts, next))
    last = mine.catch(() => undefined)
    return mine
  }
}

async function reload(parts: ReloadParts, next: Loaded): Promise<void> {
  const { running, stages, entrance, clock, log } = parts
  const { lookups, rules, upstreams } = stages
  const plan = planReload(running.loaded.config, next.config)
  // What can fail comes first.
  const credentials = await httpCredentials(next)
  const tables = plan.apply.includes('lookups') ? await openLookups(next, clock, log) : undefined
  try {
    await running.broker?.reload(parts.mqttOptions(next))
  } catch (error) {
    closeLookups(tables ?? {})
    throw error
  }
  running.restarts = nameRestarts(running.first, next, log)
  running.credentials = credentials
  running.loaded = next
  running.logLevel = next.config.log.level
  log.setLevel(running.logLevel)
  if (tables) exchangeLookups(lookups, tables)
  else for (const table of Object.values(lookups)) await table.refresh()
  await entrance.allTables()
  entrance.changeFlow(false)
  for (const fact of rules.starting(definitionsOf(next.config.rules), clock.now()))
    if (fact.type === 'define') entrance.ruleFact(fact)
  await upstreams.reload(next.config.upstreams)
  await parts.checkpointing.now()
}

function nameRestarts(first: Loaded, next: Loaded, log: Log): string[] {
  return planReload(first.config, next.config).restart.map(({ path, reason }) => {
    const text = `${path} needs a restart: ${reason}`
    log.warn({ path }, text)
    return text
  })
}
