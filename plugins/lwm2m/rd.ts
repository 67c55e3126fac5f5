/**
 * The registration interface, `/rd` (LwM2M Core 1.1 §6.2).
 *
 *   POST /rd?ep&lt&lwm2m&b&Q     2.01 with where it is; 4.00, 4.03 not for this identity, 4.12 another version, 5.03 no room
 *   POST /rd/{id}?lt&b           2.04; 4.04 unknown: register again
 *   DELETE /rd/{id}              2.02
 */
import { reasonOf } from '../../gateway/errors.ts'
import type { PluginLog } from '../../gateway/plugin.ts'
import {
  BAD_REQUEST,
  CHANGED,
  CREATED,
  DELETED,
  FORBIDDEN,
  NOT_FOUND,
  PRECONDITION_FAILED,
  SERVICE_UNAVAILABLE,
} from '../coap/codes.ts'
import { LOCATION_PATH, textOption } from '../coap/options.ts'
import type { Request } from '../coap/request.ts'
import type { Resource, Respond, Response } from '../coap/resource.ts'
import { diagnostic } from '../coap/server.ts'
import type { Running } from '../coap/service.ts'
import type { Peer } from '../coap/transport.ts'
import { announcementOf, type Refusal, updateOf } from './announcement.ts'
import type { Announcement, Registration } from './registration.ts'
import type { Registrations } from './registrations.ts'

export interface DirectoryOptions {
  readonly registrations: Registrations
  readonly maxRegistrations: number
  readonly log: PluginLog
  running(): Running | undefined
  count(event: string): void
  /** It is answered: what is observed on it can be asked for. */
  registered(registration: Registration): void
  /** @param anew it is elsewhere, or announced other objects */
  updated(registration: Registration, anew: boolean): void
}

const BUSY: Response = { code: SERVICE_UNAVAILABLE, maxAge: 30 }

export function directoryResources(options: DirectoryOptions): Resource[] {
  const { registrations, log, count } = options

  function register(request: Request, respond: Respond): void {
    const announced = announcementOf(request.query, request.payload, request.peer.identity)
    if ('refused' in announced) {
      respond(refusalOf(announced))
      return
    }
    const before = registrations.ofEndpoint(announced.endpoint)
    if (!mayRegister(request.peer, announced, before)) respond({ code: FORBIDDEN })
    else if (!before && registrations.size >= options.maxRegistrations) respond(BUSY)
    else {
      count('registrations')
      finish(registrations.register(announced, request.peer), respond, (registration) => {
        const { endpoint, lifetime, version, queue } = registration
        log.info({ endpoint, lifetime, version, queue }, `${endpoint} registered`)
        const location = ['rd', registration.id].map((segment) => textOption(LOCATION_PATH, segment))
        respond({ code: CREATED, options: location })
        if (registrations.get(registration.id) === registration) options.registered(registration)
      })
    }
  }

  /** A client that proved who it is is not replaced by one that did not. */
  function mayRegister(peer: Peer, { endpoint }: Announcement, before: Registration | undefined): boolean {
    if (before?.identity !== undefined && peer.identity === undefined) return false
    return options.running()?.rights.mayPublish(peer, endpoint) ?? false
  }

  function update(request: Request, respond: Respond): void {
    const registration = own(request)
    if (!registration) {
      respond({ code: NOT_FOUND })
      return
    }
    const given = updateOf(request.query, request.payload)
    if ('refused' in given) {
      respond(refusalOf(given))
      return
    }
    count('updates')
    finish(registrations.update(registration, given, request.peer), respond, (anew) => {
      respond({ code: CHANGED })
      if (registrations.get(registration.id) === registration) options.updated(registration, anew)
    })
  }

  function deregister(request: Request, respond: Respond): void {
    const registration = own(request)
    if (!registration) respond({ code: NOT_FOUND })
    else finish(registrations.remove(registration), respond, () => respond({ code: DELETED }))
  }

  /** The registration of a path, if whoever asks is who registered. */
  function own({ params, peer }: Request): Registration | undefined {
    const registration = registrations.get(params.id as string)
    return registration?.identity === peer.identity ? registration : undefined
  }

  function finish<T>(work: Promise<T>, respond: Respond, done: (value: T) => void): void {
    work.then(done, (error: unknown) => {
      log.warn({ error: reasonOf(error) }, 'registrations cannot be written')
      respond(BUSY)
    })
  }

  return [
    { path: 'rd', post: register, attributes: { rt: 'core.rd', ct: '40' } },
    { path: 'rd/{id}', post: update, delete: deregister },
  ]
}

function refusalOf({ refused, reason }: Refusal): Response {
  return diagnostic(refused === 'version' ? PRECONDITION_FAILED : BAD_REQUEST, reason)
}
