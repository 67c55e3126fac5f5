/** The look-up tables of the config, opened and exchanged together. */
import type { Clock } from '../clock.ts'
import type { Loaded } from '../config/load.ts'
import type { SluiceError } from '../errors.ts'
import type { PluginLog } from '../plugin.ts'
import { type LookupFile, openLookup } from './lookup.ts'

/** All or none. @throws StartError a file can't be used */
export async function openLookups(
  { config, resolve }: Loaded,
  clock: Clock,
  log: PluginLog,
): Promise<Record<string, LookupFile>> {
  const tables: Record<string, LookupFile> = {}
  const report = (error: SluiceError) => log.warn({ stage: 'decode', code: error.code }, error.message)
  try {
    for (const [name, { file, ...table }] of Object.entries(config.lookups)) {
      const reloaded = (rows: number) => log.info({ stage: 'decode', lookup: name, rows }, `lookup ${name} read again`)
      tables[name] = await openLookup({ name, path: resolve(file), ...table, clock, report, reloaded })
    }
  } catch (error) {
    closeLookups(tables)
    throw error
  }
  return tables
}

/** Puts other tables into the place of the old ones, which others hold. */
export function exchangeLookups(old: Record<string, LookupFile>, next: Readonly<Record<string, LookupFile>>): void {
  closeLookups(old)
  for (const name of Object.keys(old)) delete old[name]
  Object.assign(old, next)
}

export function closeLookups(tables: Readonly<Record<string, LookupFile>>): void {
  for (const table of Object.values(tables)) table.close()
}
