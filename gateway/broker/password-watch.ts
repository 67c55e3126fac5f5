/** Reads the password file, and again when it has changed. A file that has become unreadable leaves the old users. */
import { stat } from 'node:fs/promises'
import type { Clock, Timer } from '../clock.ts'
import { reasonOf } from '../errors.ts'
import type { PluginLog } from '../plugin.ts'
import { type PasswordHash, readPasswordFile } from './passwords.ts'

/** ms */
const INTERVAL = 2_000

export class PasswordWatch {
  readonly #clock: Clock
  readonly #log: PluginLog
  readonly #changed: (users: ReadonlyMap<string, PasswordHash> | undefined) => void
  #timer: Timer | null = null
  #signature = ''

  constructor(clock: Clock, log: PluginLog, changed: (users: ReadonlyMap<string, PasswordHash> | undefined) => void) {
    this.#clock = clock
    this.#log = log
    this.#changed = changed
  }

  /** @throws StartError and changes nothing */
  async start(file: string | undefined): Promise<void> {
    if (file === undefined) {
      this.stop()
      this.#changed(undefined)
      return
    }
    const signature = await signatureOf(file)
    const users = await readPasswordFile(file)
    this.stop()
    this.#signature = signature
    this.#changed(users)
    this.#timer = this.#clock.every(INTERVAL, () => this.#look(file))
  }

  stop(): void {
    this.#timer?.cancel()
    this.#timer = null
  }

  async #look(file: string): Promise<void> {
    const signature = await signatureOf(file)
    if (signature === this.#signature || this.#timer === null) return
    this.#signature = signature
    try {
      this.#changed(await readPasswordFile(file))
      this.#log.info({ file }, 'password file read again')
    } catch (error) {
      this.#log.warn({ file, reason: reasonOf(error) }, 'password file not usable, the users stay as they were')
    }
  }
}

/** Differs when the file does; empty when it cannot be seen. */
async function signatureOf(file: string): Promise<string> {
  try {
    const { ino, size, mtimeMs, ctimeMs } = await stat(file)
    return `${ino} ${size} ${mtimeMs} ${ctimeMs}`
  } catch {
    return ''
  }
}
