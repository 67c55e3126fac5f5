/** Fills in the topic that a batch or a record is sent under. */
import type { Batch } from '../../gateway/plugin.ts'
import { placeholders } from './config.ts'

export function topicOfBatch(template: string, { gateway, class: recordClass }: Batch): string {
  return fill(template, { gateway, class: recordClass })
}

/** What a record does not have becomes `_`, so that every record has a topic. */
export function topicOfRecord(template: string, batch: Batch, json: Buffer): string {
  const common = { gateway: batch.gateway, class: batch.class }
  if (placeholders(template).every((name) => name in common)) return fill(template, common)
  const { kind, device, key, window, rule } = JSON.parse(json.toString('utf8')) as Record<string, unknown>
  const { device: keyed } = (key ?? {}) as Record<string, unknown>
  return fill(template, { ...common, kind, device: device ?? keyed, window, rule })
}

function fill(template: string, values: Readonly<Record<string, unknown>>): string {
  return template.replaceAll(/\{([^}]*)\}/g, (_, name: string) => level(values[name]))
}

/** One level of a topic: a device's name must not become several. */
function level(value: unknown): string {
  return typeof value === 'string' && value !== '' ? value.replaceAll(/[/+#\0]/g, '_') : '_'
}
