/**
 * What a message means and what is computed of it: the part of the config that results depend on. It is journaled when
 * it changes, so that a replay reads each message by the rules that were in force when it came.
 */
import type { Config } from './config/schema.ts'
import type { DecodeRule } from './decode/rule.ts'
import type { WindowDefinition } from './window/definition.ts'

/** Plain JSON. */
export interface Flow {
  readonly decode: readonly DecodeRule[]
  readonly windows: readonly WindowDefinition[]
}

export function flowOf(config: Config): Flow {
  return {
    decode: config.decode,
    windows: Object.entries(config.windows).map(([name, { publish: _, ...definition }]) => ({ name, ...definition })),
  }
}

export function sameFlow(a: Flow, b: Flow): boolean {
  return JSON.stringify(a) === JSON.stringify(b)
}
