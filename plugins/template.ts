/** Templates such as `sluice/{gateway}/{class}`: where a plugin sends a batch or a record. */
import type { Batch } from '../gateway/plugin.ts'

/** Names in braces. */
export function placeholders(template: string): string[] {
  return [...template.matchAll(/\{([^}]*)\}/g)].map((match) => match[1] as string)
}

/**
 * What there is no value for becomes `_`, so that everything has somewhere to go.
 *
 * @param unsafe characters that would make more of a value than one part of the address; they become `_` too
 */
export function fill(template: string, values: Readonly<Record<string, unknown>>, unsafe: RegExp): string {
  return template.replaceAll(/\{([^}]*)\}/g, (_, name: string) => {
    const value = values[name]
    return typeof value === 'string' && value !== '' ? value.replaceAll(unsafe, '_') : '_'
  })
}

export function fillForBatch(template: string, batch: Batch, unsafe: RegExp): string {
  return fill(template, { gateway: batch.gateway, class: batch.class }, unsafe)
}

/** @param json the record's text; parsed only when the template asks for something in it */
export function fillForRecord(template: string, batch: Batch, json: Buffer, unsafe: RegExp): string {
  const common = { gateway: batch.gateway, class: batch.class }
  if (placeholders(template).every((name) => name in common)) return fill(template, common, unsafe)
  const record = JSON.parse(json.toString('utf8')) as Record<string, unknown>
  const key = (record.key ?? {}) as Record<string, unknown>
  const device = record.device ?? key.device
  return fill(template, { ...common, kind: record.kind, device, window: record.window, rule: record.rule }, unsafe)
}
