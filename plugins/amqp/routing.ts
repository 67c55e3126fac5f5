/** Fills in the routing key or address that a batch or a record is sent to. */
import type { Batch } from '../../gateway/plugin.ts'
import { placeholders } from './config.ts'

export function keyOfBatch(template: string, batch: Batch): string {
  return fill(template, { gateway: batch.gateway, class: batch.class })
}

/** What a record does not have becomes `_`, so that every record has a key. */
export function keyOfRecord(template: string, batch: Batch, json: Buffer): string {
  const common = { gateway: batch.gateway, class: batch.class }
  if (placeholders(template).every((name) => name in common)) return fill(template, common)
  const record = JSON.parse(json.toString('utf8')) as Record<string, unknown>
  const key = (record.key ?? {}) as Record<string, unknown>
  return fill(template, {
    ...common,
    kind: record.kind,
    device: record.device ?? key.device,
    window: record.window,
    rule: record.rule,
  })
}

/** A name must be one word of a key, whatever stands in it: dots divide keys, slashes addresses. */
export function fill(template: string, values: Readonly<Record<string, unknown>>): string {
  return template.replaceAll(/\{([^}]*)\}/g, (_, name: string) => {
    const value = values[name]
    return typeof value === 'string' && value !== '' ? value.replaceAll(/[./*#\0]/g, '_') : '_'
  })
}
