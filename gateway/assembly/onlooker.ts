/** What people see of the flow while it happens, and what windows publish locally. Nothing of it on replay. */
import type { Broker } from '../broker/broker.ts'
import type { Loaded } from '../config/load.ts'
import type { Live } from '../http/live.ts'
import type { AlertRecord, CommandRecord, GapRecord } from '../record.ts'
import type { Onlooker } from '../watcher.ts'

/** Shows people what happens, and publishes results on the local broker where a window says so. */
export function createOnlooker(
  live: Live,
  gateway: string,
  loaded: () => Loaded,
  broker: () => Broker | undefined,
): Onlooker {
  return {
    reading: (reading) => live.reading(reading),
    deadLetter: () => undefined,
    result(record, { name }) {
      live.window(record)
      const template = loaded().config.windows[name]?.publish
      if (template === undefined) return
      const values: Record<string, string> = { ...record.key, window: name, gateway }
      const topic = template.replace(/\{([^{}]+)\}/g, (_, key: string) => values[key] ?? '')
      void broker()?.publish(topic, Buffer.from(JSON.stringify(record)))
    },
    record(recordClass, record) {
      if (recordClass !== 'event') return
      if (record.kind === 'gap') live.gap(record as GapRecord)
      if (record.kind === 'alert') live.alert(record as AlertRecord)
      if (record.kind === 'command') live.command(record as CommandRecord)
    },
  }
}
