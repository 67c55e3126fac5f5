/** The routing key or address that a batch or a record is sent to. */
import type { Batch } from '../../gateway/plugin.ts'
import { fillForBatch, fillForRecord, fill as fillTemplate } from '../template.ts'

/** A name must be one word of a key, whatever stands in it: dots divide keys, slashes addresses. */
const UNSAFE = /[./*#\0]/g

export function keyOfBatch(template: string, batch: Batch): string {
  return fillForBatch(template, batch, UNSAFE)
}

export function keyOfRecord(template: string, batch: Batch, json: Buffer): string {
  return fillForRecord(template, batch, json, UNSAFE)
}

export function fill(template: string, values: Readonly<Record<string, unknown>>): string {
  return fillTemplate(template, values, UNSAFE)
}
