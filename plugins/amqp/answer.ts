/** What a device answers to a command: `{"id"?,"ok","result"?,"reason"?}`. */
import type { CommandResult } from '../../gateway/plugin.ts'

export interface Answer {
  readonly id: string | undefined
  readonly result: CommandResult
}

/** undefined when it is not an answer */
export function parseAnswer(payload: Uint8Array): Answer | undefined {
  try {
    const answer: unknown = JSON.parse(Buffer.from(payload).toString())
    if (typeof answer !== 'object' || answer === null) return undefined
    const { id, ok, result, reason } = answer as Record<string, unknown>
    if (typeof ok !== 'boolean') return undefined
    return {
      id: typeof id === 'string' ? id : undefined,
      result: { ok, ...(result !== undefined && { result }), ...(typeof reason === 'string' && { reason }) },
    }
  } catch {
    return undefined
  }
}
