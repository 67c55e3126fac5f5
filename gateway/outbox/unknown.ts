/** What a person is told who names an upstream that the outbox does not know. */
import { RequestError } from '../errors.ts'

export function unknownSink(sink: string): RequestError {
  return new RequestError(404, 'SLUICE_UNKNOWN_UPSTREAM', `no upstream is named ${sink}`)
}

/** Only what left the config is forgotten. */
export function notRemoved(sink: string): RequestError {
  const text = `no upstream that left the config is named ${sink}: forget one after you took it out of the config`
  return new RequestError(404, 'SLUICE_UNKNOWN_UPSTREAM', text)
}
