/** Commanders of plugins as ways to devices; one that throws is one that knows nothing. */
import type { Commander } from '../plugin.ts'
import type { Transport } from './transport.ts'

export function pluginTransport(name: string, commander: Commander): Transport {
  return {
    name,
    reaches(device) {
      try {
        return commander.reaches(device)
      } catch {
        return false
      }
    },
    waiting(device) {
      try {
        return commander.waiting?.(device)
      } catch {
        return undefined
      }
    },
    execute: (command, signal) => commander.execute(command, signal),
    ...(commander.onReachable && { onReachable: (listener) => listen(commander, listener) }),
  }
}

function listen(commander: Commander, listener: (device: string) => void): () => void {
  try {
    return commander.onReachable?.(listener) ?? (() => undefined)
  } catch {
    return () => undefined
  }
}
