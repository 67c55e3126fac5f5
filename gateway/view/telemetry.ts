import { BusyError } from '../errors.ts'
import type { Api } from '../http/api.ts'
import type { Pipeline } from '../pipeline.ts'
import type { Emit } from '../plugin.ts'

/** `POST /api/telemetry` tells the sender why a message is a dead letter, though it is durable all the same. */
export function telemetryOf(pipeline: Pipeline, emit: Emit): Api['telemetry'] {
  return (topic, body, contentType) =>
    new Promise((resolve, reject) => {
      let dead: string | undefined
      const message = { topic, payload: body, ...(contentType === undefined ? {} : { contentType }) }
      const taken = emit.offer(message, (error) => {
        if (error) reject(error)
        else resolve(dead === undefined ? {} : { dead })
      })
      // Offers are processed at once, so what the pipeline refused last is this message.
      dead = taken ? pipeline.refusal?.message : undefined
      if (!taken) reject(new BusyError('SLUICE_BUSY', 'no room in the journal now'))
    })
}
