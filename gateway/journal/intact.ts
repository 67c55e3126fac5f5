/**
 * Whether every file below a data directory is as it was written. Reads every byte and changes none.
 *
 *   a folder with segments       each frame by its CRC (`log/verify.ts`): journal, outbox, history …
 *   checkpoints/*.ckpt           by the CRC in its head
 *   outbox/state, settings.json  by the CRC they begin with
 *   *.corrupt                    was put aside by a gateway: counted damage is damage
 *
 * `lock` and `runtime.json` say who runs, and are made anew at each start; drafts (`*.new`) were never part of it.
 */
import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { reasonOf, StartError } from '../errors.ts'
import type { Damage } from '../log/damage.ts'
import { type Files, realFiles } from '../log/files.ts'
import { type LogReport, verifyLog } from '../log/verify.ts'
import { readOutboxState } from '../outbox/durable.ts'
import { settingsIntact } from '../settings.ts'
import { readCheckpoint } from './checkpoint.ts'

export interface Intact {
  /** By folder, relative to the data directory. */
  readonly logs: ReadonlyMap<string, LogReport>
  /** One line per damaged file or frame. */
  readonly damage: readonly string[]
}

export async function verifyFiles(data: string, files: Files = realFiles): Promise<Intact> {
  const logs = new Map<string, LogReport>()
  const damage: string[] = []
  const look = async (folder: string) => {
    const entries = await readdir(join(data, folder), { withFileTypes: true })
    if (entries.some(({ name }) => name.endsWith('.seg'))) {
      const report = await verifyLog({ directory: join(data, folder), files })
      logs.set(folder, report)
      damage.push(...report.damage.map(damageLine))
    }
    for (const entry of entries) {
      const path = join(folder, entry.name)
      if (entry.isDirectory()) await look(path)
      else damage.push(...(await verifyFile(files, data, path)))
    }
  }
  await look('')
  return { logs, damage }
}

async function verifyFile(files: Files, data: string, path: string): Promise<string[]> {
  const file = join(data, path)
  if (path.endsWith('.corrupt')) return [`${file}: was put aside as unreadable`]
  if (path === 'settings.json') return (await settingsIntact(files, data)) ? [] : [`${file}: is not what was written`]
  if (path === join('outbox', 'state')) return complaintOf(file, readOutboxState(files, file))
  if (path.endsWith('.ckpt')) return complaintOf(file, readCheckpoint(files, file))
  return []
}

async function complaintOf(file: string, reading: Promise<unknown>): Promise<string[]> {
  try {
    await reading
    return []
  } catch (error) {
    if (error instanceof StartError) throw error
    return [`${file}: ${reasonOf(error)}`]
  }
}

function damageLine({ file, offset, bytes, firstLost, lastLost }: Damage): string {
  const lost = firstLost === undefined || lastLost === undefined ? '' : `, ${lastLost - firstLost + 1} entries lost`
  return `${file}: ${bytes} bytes at ${offset} are not what was written${lost}`
}
