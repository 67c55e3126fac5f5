/** A message on its way through the broker, to subscribers or into the store of retained messages. */
export interface Publication {
  readonly topic: string
  readonly payload: Buffer
  readonly qos: 0 | 1 | 2
  readonly retain: boolean
  /** Properties of MQTT 5 that go with it, encoded as they came; empty: none. */
  readonly properties: Buffer
  /** Monotonic ms after which nobody wants it; Infinity: it does not expire. */
  readonly expires: number
  /** Client id of the publisher; undefined: the gateway itself. */
  readonly clientId: string | undefined
}

export const NO_PROPERTIES = Buffer.alloc(0)

/** Rough cost of a message beside its bytes. */
const OVERHEAD = 200

/** Bytes that keeping it costs, roughly. */
export function costOf({ topic, payload, properties }: Publication): number {
  return OVERHEAD + topic.length + payload.length + properties.length
}

/** Seconds until it expires, at least 1 as long as it has not (MQTT-3.3.2-6); undefined: it does not. */
export function secondsLeft({ expires }: Publication, now: number): number | undefined {
  return expires === Infinity ? undefined : Math.max(1, Math.ceil((expires - now) / 1000))
}

export function qosOf(value: number): 0 | 1 | 2 {
  return value >= 2 ? 2 : value === 1 ? 1 : 0
}
