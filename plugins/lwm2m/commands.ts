/**
 * Commands to clients.
 *
 *   reachable?  no: it is not registered, or it is in queue mode and sleeps; the command waits, and its record says so
 *   execute     request ─▶ answer                                    the outcome
 *                    └─ none ─▶ it sleeps ─▶ speaks ─▶ request …     what may be done twice is asked again
 *                                                                     execute and create are not: nobody knows
 */
import { DecodeError, NotConnectedError, reasonOf } from '../../gateway/errors.ts'
import type { Command, Commander, CommandResult, DeviceConnection } from '../../gateway/plugin.ts'
import type { ClientRequest, ClientResponse } from '../coap/client.ts'
import { codeText } from '../coap/codec.ts'
import { DELETE, GET, isSuccess, POST, PUT, UNSUPPORTED_CONTENT_FORMAT } from '../coap/codes.ts'
import { LINK_FORMAT, TEXT_PLAIN } from '../coap/content-format.ts'
import { CoapError } from '../coap/errors.ts'
import { parseLinks } from '../coap/link-format.ts'
import { LOCATION_PATH } from '../coap/options.ts'
import type { Running } from '../coap/service.ts'
import type { Catalog } from './catalog.ts'
import type { Lwm2mConfig } from './config.ts'
import { connectionOf, waitingFor } from './connection.ts'
import { decodeContent, encodings } from './content.ts'
import { printable } from './measurement.ts'
import { type Operation, operationOf } from './operation.ts'
import { formatPath } from './path.ts'
import type { Registration } from './registration.ts'
import type { Registrations } from './registrations.ts'
import { attributeQuery, requestPath } from './request.ts'

export interface CommandOptions {
  readonly config: Lwm2mConfig
  readonly catalog: Catalog
  readonly registrations: Registrations
  running(): Running | undefined
  observe(registration: Registration, operation: Operation): void
  cancel(registration: Registration, operation: Operation): void
}

export interface Commands extends Commander {
  onReachable(listener: (device: string) => void): () => void
  waiting(device: string): string | undefined
  describe(device: string): DeviceConnection | undefined
  devices(): Iterable<string>
  /** The client listens now. */
  spoke(registration: Registration): void
}

export function createCommands(options: CommandOptions): Commands {
  const { catalog, registrations, config } = options
  const listeners = new Set<(device: string) => void>()
  const waiting = new Map<string, Set<() => void>>()

  function spoken(device: string, signal: AbortSignal): Promise<void> {
    return new Promise((resolve) => {
      const wakers = waiting.get(device) ?? new Set()
      waiting.set(device, wakers)
      const forget = () => {
        wakers.delete(wake)
        if (wakers.size === 0) waiting.delete(device)
        signal.removeEventListener('abort', forget)
      }
      const wake = () => {
        forget()
        resolve()
      }
      wakers.add(wake)
      signal.addEventListener('abort', forget, { once: true })
    })
  }

  async function execute(command: Command, signal: AbortSignal): Promise<CommandResult> {
    const { device } = command
    const { peer, registration, coap } = connected(device)
    if (!coap.rights.mayBeCommanded(peer, device))
      return refused('the identity of the device may not be commanded as it')
    const operation = operationOf(command, registration, config, catalog)
    if ('reason' in operation) return refused(operation.reason)
    let requests: readonly ClientRequest[]
    try {
      requests = requestsFor(operation, registration, catalog)
    } catch (error) {
      if (error instanceof DecodeError) return refused(error.message)
      throw error
    }
    if (operation.verb === 'observe' || operation.verb === 'cancel') {
      options[operation.verb](registration, operation)
      return { ok: true }
    }
    return perform(device, operation, requests, signal)
  }

  const listens = (registration: Registration) => registration.peer !== undefined && registrations.isAwake(registration)

  /** @throws NotConnectedError */
  function connected(device: string) {
    const registration = registrations.ofEndpoint(device)
    const coap = options.running()
    if (!coap || !registration?.peer || !registrations.isAwake(registration))
      throw new NotConnectedError(
        'SLUICE_LWM2M',
        registration ? `device ${device} sleeps (queue mode)` : `device ${device} is not registered`,
      )
    return { registration, peer: registration.peer, coap }
  }

  async function perform(
    device: string,
    operation: Operation,
    requests: readonly ClientRequest[],
    signal: AbortSignal,
  ): Promise<CommandResult> {
    for (let attempt = 0; ; attempt++) {
      try {
        const { registration, peer, coap } = connected(device)
        const response = await firstTaken(requests, (request) => coap.client.request(peer, request, signal))
        registrations.heard(registration)
        return resultOf(operation, response, catalog)
      } catch (error) {
        const outcome = signal.aborted ? 'unknown' : afterFailure(error, operation, attempt)
        if (outcome === 'unknown') return new Promise(() => {})
        if (outcome !== 'again') return outcome
        const registration = registrations.ofEndpoint(device)
        if (registration) registrations.unheard(registration)
        await spoken(device, signal)
      }
    }
  }

  return {
    reaches(device) {
      const registration = registrations.ofEndpoint(device)
      return registration !== undefined && listens(registration)
    },
    waiting(device) {
      const registration = registrations.ofEndpoint(device)
      return registration && !listens(registration) ? waitingFor(registration) : undefined
    },
    describe(device) {
      const registration = registrations.ofEndpoint(device)
      return registration && connectionOf(registration, listens(registration))
    },
    devices: () => [...registrations.all()].map(({ endpoint }) => endpoint),
    onReachable(listener) {
      listeners.add(listener)
      return () => listeners.delete(listener)
    },
    execute,
    spoke({ endpoint }) {
      for (const wake of [...(waiting.get(endpoint) ?? [])]) wake()
      for (const listener of listeners) listener(endpoint)
    },
  }
}

/**
 * What a failed attempt means: a refusal, or that it can be made again, or that nobody knows what became of it.
 * @throws unknown what it was given, when nothing was sent or it is a defect
 */
function afterFailure(error: unknown, { verb }: Operation, attempt: number): CommandResult | 'again' | 'unknown' {
  if (error instanceof CoapError && error.refused) return refused('the device refused the message')
  const unsent = error instanceof NotConnectedError
  // Before the first attempt nothing was sent; later nobody knows what came of the one before.
  if (!(error instanceof CoapError) && !(unsent && attempt > 0)) throw error
  return verb === 'execute' || verb === 'create' ? 'unknown' : 'again'
}

function refused(reason: string): CommandResult {
  return { ok: false, reason }
}

/** Tries one format after the other while the device takes none. */
async function firstTaken(
  requests: readonly ClientRequest[],
  send: (request: ClientRequest) => Promise<ClientResponse>,
): Promise<ClientResponse> {
  let response: ClientResponse | undefined
  for (const request of requests) {
    response = await send(request)
    if (response.code !== UNSUPPORTED_CONTENT_FORMAT) break
  }
  if (!response) throw new CoapError('there is nothing to send')
  return response
}

/** @throws DecodeError the value cannot stand at the path */
function requestsFor(operation: Operation, registration: Registration, catalog: Catalog): ClientRequest[] {
  const { verb, value } = operation
  const path = requestPath(registration, operation.path)
  switch (verb) {
    case 'read':
      return [{ code: GET, path }]
    case 'discover':
      return [{ code: GET, path, accept: LINK_FORMAT }]
    case 'delete':
      return [{ code: DELETE, path }]
    case 'write-attributes':
      return [{ code: PUT, path, query: attributeQuery(operation.attributes) }]
    case 'execute': {
      if (value === undefined) return [{ code: POST, path }]
      return [{ code: POST, path, contentFormat: TEXT_PLAIN, payload: Buffer.from(String(value)) }]
    }
    case 'write': {
      const code = operation.path.length === 2 && !operation.replace ? POST : PUT
      return contents(operation, catalog).map((content) => ({ code, path, ...content }))
    }
    case 'create':
      return contents(operation, catalog).map((content) => ({ code: POST, path, ...content }))
    default:
      return []
  }
}

function contents({ path, value, verb }: Operation, catalog: Catalog) {
  if (value === undefined) throw new DecodeError('value', `${verb} needs a value`)
  return encodings(path, value, catalog).map(({ format, payload }) => ({ contentFormat: format, payload }))
}

function resultOf(operation: Operation, response: ClientResponse, catalog: Catalog): CommandResult {
  const { code, payload } = response
  if (!isSuccess(code)) {
    const words = payload.length > 0 && response.contentFormat === undefined ? ` ${payload.toString()}` : ''
    return refused(`${codeText(code)}${words}`)
  }
  if (operation.verb === 'read') return readResult(operation, response, catalog)
  if (operation.verb === 'discover') return { ok: true, result: parseLinks(payload.toString()) }
  const created = response.options.filter(({ number }) => number === LOCATION_PATH).map(({ value }) => value.toString())
  return created.length > 0 ? { ok: true, result: { created: `/${created.join('/')}` } } : { ok: true }
}

/** The value of a single resource; of more, an object of values by path. */
function readResult({ path }: Operation, { contentFormat, payload }: ClientResponse, catalog: Catalog): CommandResult {
  try {
    const entries = decodeContent(contentFormat, payload, path, catalog)
    const [first] = entries
    if (first && entries.length === 1 && first.path.length === path.length)
      return { ok: true, result: printable(first.value) }
    return { ok: true, result: Object.fromEntries(entries.map((e) => [formatPath(e.path), printable(e.value)])) }
  } catch (error) {
    return refused(`what it answered cannot be read: ${reasonOf(error)}`)
  }
}
