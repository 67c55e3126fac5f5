/** The key file of a running source: read at start, and again when it changes. */
import { readFile, stat } from 'node:fs/promises'
import { reasonOf, StartError } from '../../gateway/errors.ts'
import type { Clock, PluginLog } from '../../gateway/plugin.ts'
import { type PskEntry, parsePskFile, sameKey } from './dtls/psk-file.ts'
import type { Grant } from './rights.ts'

const LOOK_EVERY = 5000

export interface Keys {
  keyOf(identity: string): Buffer | undefined
  grantOf(identity: string): Grant | undefined
  /** Called after the file changed, with a function that tells whether an identity still has the key it had. */
  onChange(listener: (stillHolds: (identity: string) => boolean) => void): void
  close(): void
}

/** @throws StartError `SLUICE_PSK_FILE` when it cannot be read or has a line that is no key */
export async function openKeys(path: string, clock: Clock, log: PluginLog): Promise<Keys> {
  let entries: ReadonlyMap<string, PskEntry> = new Map()
  let read = ''
  const listeners: ((stillHolds: (identity: string) => boolean) => void)[] = []

  const state = async () => {
    const { mtimeMs, size, mode } = await stat(path)
    if (mode & 0o004 && read === '') log.warn({ path }, 'the key file can be read by everybody: chmod 600 it')
    return `${mtimeMs} ${size}`
  }

  async function load(): Promise<void> {
    read = await state()
    const file = parsePskFile(await readFile(path, 'utf8'))
    if (file.badLines.length > 0)
      throw new StartError(
        'SLUICE_PSK_FILE',
        `${path}:${file.badLines[0]}: a line is identity:key in hexadecimal, each identity once` +
          (file.badLines.length > 1 ? ` (also lines ${file.badLines.slice(1, 10).join(', ')})` : ''),
      )
    const before = entries
    entries = file.entries
    for (const listener of listeners) listener((identity) => sameKey(before.get(identity), entries.get(identity)))
  }

  async function look(): Promise<void> {
    try {
      if ((await state()) === read) return
      await load()
      log.info({ path, identities: entries.size }, 'keys read again')
    } catch (error) {
      log.warn({ path, error: reasonOf(error) }, 'the key file cannot be read: the keys before it stay')
    }
  }

  try {
    await load()
  } catch (error) {
    if (error instanceof StartError) throw error
    throw new StartError('SLUICE_PSK_FILE', `cannot read the key file ${path}: ${reasonOf(error)}`, { cause: error })
  }
  const timer = clock.every(LOOK_EVERY, () => void look())
  return {
    keyOf: (identity) => entries.get(identity)?.key,
    grantOf(identity) {
      const entry = entries.get(identity)
      return entry && { publish: entry.rights.get('publish'), command: entry.rights.get('command') }
    },
    onChange: (listener) => void listeners.push(listener),
    close: () => timer.cancel(),
  }
}
