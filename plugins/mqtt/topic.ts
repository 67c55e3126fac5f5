/** The topic that a batch or a record is sent under. */
import type { Batch } from '../../gateway/plugin.ts'
import { fillForBatch, fillForRecord } from '../template.ts'

/** What would make several levels of one, or a wildcard. */
const UNSAFE = /[/+#\0]/g

export function topicOfBatch(template: string, batch: Batch): string {
  return fillForBatch(template, batch, UNSAFE)
}

export function topicOfRecord(template: string, batch: Batch, json: Buffer): string {
  return fillForRecord(template, batch, json, UNSAFE)
}
