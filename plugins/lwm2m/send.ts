/** What a client sends by itself: `POST /dp`, SenML (LwM2M Core 1.1 §6.4.6). */
import { DecodeError } from '../../gateway/errors.ts'
import {
  BAD_REQUEST,
  CHANGED,
  FORBIDDEN,
  NOT_FOUND,
  SERVICE_UNAVAILABLE,
  UNSUPPORTED_CONTENT_FORMAT,
} from '../coap/codes.ts'
import { SENML_CBOR, SENML_JSON } from '../coap/content-format.ts'
import type { Request } from '../coap/request.ts'
import type { Resource, Respond } from '../coap/resource.ts'
import { diagnostic } from '../coap/server.ts'
import type { Running } from '../coap/service.ts'
import { markOf, topicOf } from '../coap/telemetry.ts'
import type { Catalog } from './catalog.ts'
import { decodeContent } from './content.ts'
import { measurementOf } from './measurement.ts'
import type { Registrations } from './registrations.ts'
import { instancesOf } from './request.ts'

export interface SendOptions {
  readonly catalog: Catalog
  readonly registrations: Registrations
  running(): Running | undefined
  count(event: string): void
}

export function sendResource({ catalog, registrations, running, count }: SendOptions): Resource {
  function post(request: Request, respond: Respond): void {
    const coap = running()
    const registration = registrations.ofPeer(request.peer)
    const { contentFormat } = request
    if (!coap) respond({ code: SERVICE_UNAVAILABLE, maxAge: 2 })
    else if (!registration) respond(diagnostic(NOT_FOUND, 'register first'))
    else if (!coap.rights.mayPublish(request.peer, registration.endpoint)) respond({ code: FORBIDDEN })
    else if (contentFormat !== SENML_JSON && contentFormat !== SENML_CBOR) respond({ code: UNSUPPORTED_CONTENT_FORMAT })
    else {
      const { endpoint } = registration
      const several = (object: number) => instancesOf(registration, object).length > 1
      const entries = decodeContent(contentFormat, request.payload, [], catalog)
      if (entries.length === 0) throw new DecodeError('empty', 'no record has a value')
      const message = measurementOf(endpoint, entries, several, catalog)
      count('sends')
      const settled = (durable: boolean) =>
        respond(durable ? { code: CHANGED } : { code: SERVICE_UNAVAILABLE, maxAge: 2 })
      coap.intake.take(topicOf(endpoint, undefined), message.payload, message.contentFormat, settled, markOf(request))
      registrations.heard(registration)
    }
  }

  return {
    path: 'dp',
    post(request, respond) {
      try {
        post(request, respond)
      } catch (error) {
        if (!(error instanceof DecodeError)) throw error
        count('undecodable')
        respond(diagnostic(BAD_REQUEST, error.message))
      }
    },
  }
}
