/**
 * What is observed on each client.
 *
 *   idle ─▶ asked ─▶ heard …            a notification is telemetry, acknowledged when it is durable
 *     ▲       │ the client says no ─▶ refused, until it registers again
 *     └───────┴ no answer: at its next message; a client that is not in queue mode is also asked again by itself
 *
 * A client in queue mode is asked only while it listens. What was silent for long is asked again at an update: the
 * client may have given up on us while the network was down.
 */
import { reasonOf } from '../../gateway/errors.ts'
import type { Clock, PluginLog, Timer } from '../../gateway/plugin.ts'
import type { Client, ClientObservation, ClientRequest, ClientResponse, ObservationHandler } from '../coap/client.ts'
import { GET, PUT } from '../coap/codes.ts'
import { OCTET_STREAM } from '../coap/content-format.ts'
import type { CoapError } from '../coap/errors.ts'
import type { Receipt } from '../coap/own-request.ts'
import type { Intake } from '../coap/telemetry.ts'
import { topicOf } from '../coap/telemetry.ts'
import type { Catalog, Target } from './catalog.ts'
import { decodeContent } from './content.ts'
import { measurementOf } from './measurement.ts'
import { formatPath, type Path } from './path.ts'
import type { Registration } from './registration.ts'
import type { Registrations } from './registrations.ts'
import { type Attributes, attributeQuery, instancesOf, requestPath } from './request.ts'

/** Pauses before a client that did not answer is asked again, ms. */
const FIRST_PAUSE = 5_000
const LONGEST_PAUSE = 300_000

/** Something the config asks for. */
export interface Wanted {
  readonly target: Target
  readonly attributes: Attributes
}

export interface ObservingOptions {
  readonly clock: Clock
  readonly client: Client
  readonly intake: Intake
  readonly log: PluginLog
  readonly catalog: Catalog
  readonly registrations: Registrations
  /** ms */
  readonly silence: number
  /** Undefined: every measured value. */
  wanted(endpoint: string): readonly Wanted[] | undefined
  count(event: string): void
}

export interface Observing {
  /** Observes anew all that is to be observed. */
  begin(registration: Registration): void
  /** Goes on with what could not be asked. @param update it updated its registration */
  resume(registration: Registration, update: boolean): void
  /** Observes one thing more, until the client registers again. */
  add(registration: Registration, path: Path, attributes: Attributes): void
  /** Observes it no longer, and tells the client. */
  remove(registration: Registration, path: Path): void
  end(registration: Registration): void
  readonly size: number
  stop(): void
}

/** Where something is on clients that keep their objects below the same path; one object for all of them. */
interface Place {
  readonly path: Path
  readonly request: ClientRequest
}

/** What is observed on one client. */
interface Watch {
  readonly registration: Registration
  items: Item[]
  pause: number
  timer: Timer | undefined
}

/** What an item needs of all else. */
interface Heeding {
  notified(item: Item, response: ClientResponse, receipt: Receipt): void
  ended(item: Item, error: CoapError): void
}

/** One thing observed. A class and no closures: there may be tens of thousands. */
class Item implements ObservationHandler {
  readonly watch: Watch
  readonly place: Place
  readonly attributes: Attributes
  state: 'idle' | 'asked' | 'refused' = 'idle'
  observation: ClientObservation | undefined = undefined
  /** Monotonic, whole ms. */
  heard = 0
  readonly #heeding: Heeding

  constructor(heeding: Heeding, watch: Watch, place: Place, attributes: Attributes) {
    this.#heeding = heeding
    this.watch = watch
    this.place = place
    this.attributes = attributes
  }

  notification(response: ClientResponse, receipt: Receipt): void {
    this.#heeding.notified(this, response, receipt)
  }

  ended(error: CoapError): void {
    this.#heeding.ended(this, error)
  }
}

/** Places kept; then all are forgotten and learned again. */
const MAX_PLACES = 1000
const NO_ATTRIBUTES: Attributes = Object.freeze({})

export function createObserving(options: ObservingOptions): Observing {
  const { clock, client, intake, log, catalog, registrations } = options
  const watched = new Map<string, Watch>()
  const places = new Map<string, Place>()
  const heeding: Heeding = { notified, ended }

  const isCurrent = (watch: Watch) => watched.get(watch.registration.id) === watch

  function placeOf(registration: Registration, at: Path): Place {
    const path = requestPath(registration, at)
    const known = places.get(path)
    if (known) return known
    if (places.size === MAX_PLACES) places.clear()
    const place: Place = { path: at, request: { code: GET, path } }
    places.set(path, place)
    return place
  }

  function ask(item: Item): void {
    const { watch, place, attributes } = item
    const { registration } = watch
    const { peer } = registration
    if (!peer || !registrations.isAwake(registration)) return
    item.state = 'asked'
    item.heard = Math.floor(clock.monotonic())
    const query = attributeQuery(attributes)
    const observe = () => {
      if (!isCurrent(watch) || registration.peer !== peer) return
      item.observation?.cancel()
      item.observation = client.observe(peer, place.request, item)
    }
    if (query.length === 0) observe()
    else
      client.request(peer, { code: PUT, path: place.request.path, query }).then(observe, (error: CoapError) => {
        if (isCurrent(watch)) ended(item, error)
      })
  }

  function notified(item: Item, response: ClientResponse, receipt: Receipt): void {
    const { watch, place } = item
    const { registration } = watch
    item.heard = Math.floor(clock.monotonic())
    watch.pause = FIRST_PAUSE
    const message = messageOf(registration, place.path, response)
    options.count('notifications')
    if (message)
      intake.take(message.topic, message.payload, message.contentFormat, (durable) => {
        if (durable) receipt.acknowledge()
        else receipt.forget()
      })
    else receipt.acknowledge()
    registrations.heard(registration)
  }

  /** Undefined when nothing is in it. What cannot be understood goes on as it came, and so becomes a dead letter. */
  function messageOf(registration: Registration, path: Path, { payload, contentFormat }: ClientResponse) {
    const { endpoint } = registration
    const topic = topicOf(endpoint, undefined)
    try {
      const entries = decodeContent(contentFormat, payload, path, catalog)
      if (entries.length === 0) return undefined
      const several = (object: number) => instancesOf(registration, object).length > 1
      return { topic, ...measurementOf(endpoint, entries, several, catalog) }
    } catch (error) {
      options.count('undecodable')
      log.debug({ endpoint, path: formatPath(path), error: reasonOf(error) }, 'a notification cannot be read')
      return { topic, payload, contentFormat: OCTET_STREAM }
    }
  }

  function ended(item: Item, error: CoapError): void {
    item.observation = undefined
    const refused = error.response !== undefined || error.refused
    item.state = refused ? 'refused' : 'idle'
    const { watch, place } = item
    const { endpoint, queue } = watch.registration
    log.debug({ endpoint, path: formatPath(place.path), error: reasonOf(error) }, 'an observation ended')
    if (refused) return
    registrations.unheard(watch.registration)
    if (!queue) again(watch)
  }

  function again(watch: Watch): void {
    if (watch.timer || !isCurrent(watch)) return
    watch.timer = clock.after(watch.pause, () => {
      watch.timer = undefined
      resume(watch.registration, false)
    })
    watch.pause = Math.min(watch.pause * 2, LONGEST_PAUSE)
  }

  function resume(registration: Registration, update: boolean): void {
    const watch = watched.get(registration.id)
    if (!watch) return
    const since = clock.monotonic() - options.silence
    for (const item of watch.items)
      if (item.state === 'idle' || (update && item.state === 'asked' && item.heard < since)) ask(item)
  }

  /** What the config asks for; of what is named twice the last attributes count. */
  function itemsOf(watch: Watch): Item[] {
    const { registration } = watch
    const items = new Map<string, Item>()
    for (const { target, attributes } of options.wanted(registration.endpoint) ?? measured(registration))
      for (const path of pathsOf(registration, target)) {
        const place = placeOf(registration, path)
        items.set(place.request.path, new Item(heeding, watch, place, attributes))
      }
    return [...items.values()]
  }

  function measured({ objects }: Registration): Wanted[] {
    const numbers = new Set(objects.map(([object]) => object as number))
    return [...numbers].flatMap((object) =>
      catalog.measured(object).map((resource) => ({
        target: { object, instance: undefined, resource, resourceInstance: undefined },
        attributes: NO_ATTRIBUTES,
      })),
    )
  }

  function end(registration: Registration): void {
    const watch = watched.get(registration.id)
    watched.delete(registration.id)
    watch?.timer?.cancel()
    for (const item of watch?.items ?? []) item.observation?.cancel()
  }

  return {
    begin(registration) {
      end(registration)
      const watch: Watch = { registration, items: [], pause: FIRST_PAUSE, timer: undefined }
      watch.items = itemsOf(watch)
      watched.set(registration.id, watch)
      resume(registration, false)
    },
    resume,
    add(registration, path, attributes) {
      const watch = watched.get(registration.id)
      if (!watch) return
      drop(watch, path, false)
      watch.items.push(new Item(heeding, watch, placeOf(registration, path), attributes))
      resume(registration, false)
    },
    remove(registration, path) {
      const watch = watched.get(registration.id)
      if (watch) drop(watch, path, true)
    },
    end,
    get size() {
      let size = 0
      for (const { items } of watched.values()) size += items.filter(({ state }) => state === 'asked').length
      return size
    },
    stop() {
      for (const registration of registrations.all()) end(registration)
    },
  }
}

function drop({ items }: Watch, path: Path, tell: boolean): void {
  const text = formatPath(path)
  const at = items.findIndex((item) => formatPath(item.place.path) === text)
  if (at >= 0) for (const item of items.splice(at, 1)) item.observation?.cancel(tell)
}

/** Of the instances a client announced, those that are meant. */
function pathsOf(registration: Registration, { object, instance, resource, resourceInstance }: Target): Path[] {
  const known = instancesOf(registration, object)
  const meant = instance === undefined ? known : known.filter((id) => id === instance)
  return meant.map((id) => [object, id, resource, resourceInstance].filter((part) => part !== undefined))
}
