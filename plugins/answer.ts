/** A device's answer to a command, as the contract words it: `{"id", "ok", "result"?, "reason"?}`. */
import type { CommandResult } from '../gateway/plugin.ts'

/** Undefined when it is no answer. */
export function answerOf(payload: Buffer): { readonly id: string; readonly result: CommandResult } | undefined {
  try {
    const answer: unknown = JSON.parse(payload.toString())
    if (typeof answer !== 'object' || answer === null) return undefined
    const { id, ok, result, reason } = answer as Record<string, unknown>
    if (typeof id !== 'string' || typeof ok !== 'boolean') return undefined
    return {
      id,
      result: { ok, ...(result !== undefined && { result }), ...(typeof reason === 'string' && { reason }) },
    }
  } catch {
    return undefined
  }
}
