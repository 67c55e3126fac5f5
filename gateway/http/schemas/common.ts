/** What several shapes are made of. Times are ISO 8601 UTC with milliseconds; `…Ms` are milliseconds; sizes are bytes. */
import { z } from 'zod'

export const time = z.string().describe('ISO 8601 UTC with milliseconds')
export const count = z.number().describe('a count since the ledger began')
export const tags = z.record(z.string(), z.string())
export const value = z.union([z.number(), z.string(), z.boolean()])

export const RECORD_CLASSES = ['event', 'result', 'reading'] as const

export const failure = z
  .object({
    code: z.string().describe('stable, e.g. SLUICE_NOT_FOUND'),
    message: z.string().describe('for a person'),
  })
  .describe('what went wrong')

export const recordClass = z.enum(RECORD_CLASSES)

/** An answer that is not JSON, for the document. */
export function content(type: string, description: string) {
  return { 200: { description, content: { [type]: { schema: { type: 'string' } } } } }
}
