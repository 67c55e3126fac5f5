/**
 * Commands over the gateway's own broker: `command/{device}/{name}` with `{id,args}`, QoS 1, not retained, only while the
 * device subscribes to it; the device answers on `command/{device}/{name}/ack` with `{id,ok,result?}`. `actuator.ts` says
 * which client is the device.
 */
import type { AclRule } from '../broker/acl.ts'
import type { Broker } from '../broker/broker.ts'
import type { Identity } from '../broker/options.ts'
import { NotConnectedError } from '../errors.ts'
import type { CommandResult } from '../plugin.ts'
import { isItself, isNamed, isNamedByAcl, isThere, Listeners } from './actuator.ts'
import type { Transport } from './transport.ts'

const ACK = /^command\/([^/]+)\/([^/]+)\/ack$/
const COMMANDS_OF = /^command\/([^/+#]+)(?:\/|$)/
const MAX_RESULT = 64 * 1024

export interface MqttAnswer {
  readonly device: string
  readonly command: string
  readonly id: string
  readonly result: CommandResult
}

export interface MqttCommands extends Transport {
  /** The broker's further check of who may publish what. */
  authorizePublish(identity: Identity, topic: string): boolean
  /** Begins with a broker. */
  attach(broker: Broker, answered: (answer: MqttAnswer) => void): void
}

/** @param acl the rules of the config, asked each time */
export function createMqttCommands(acl: () => readonly AclRule[] | undefined): MqttCommands {
  const listeners = new Set<(device: string) => void>()
  const subscriptions = new Listeners()
  let broker: Broker | undefined

  const reaches = (device: string, command: string): boolean =>
    isLevel(device) &&
    isLevel(command) &&
    broker?.hasSubscriber(`command/${device}/${command}`, (identity, filter) => isThere(identity, filter, device)) ===
      true

  const mayAnswer = (identity: Identity, device: string, topic: string): boolean => {
    if (isNamed(identity, device) || isNamedByAcl(acl(), identity, topic)) return true
    if (identity.user !== undefined) return false
    const commanded = topic.slice(0, -'/ack'.length)
    const filters = subscriptions.of(identity.client, commanded)
    if (filters.some((filter) => isItself(identity, filter, device))) return true
    const deviceIsThere = broker?.hasSubscriber(commanded, (other, filter) => isItself(other, filter, device)) === true
    return filters.length > 0 && !deviceIsThere
  }

  const subscribed = (filter: string, { client, user }: Identity) => {
    if (user === undefined) subscriptions.add(client, filter)
    if (!/^(command|\+|#)/.test(filter)) return
    const device = COMMANDS_OF.exec(filter)?.[1] ?? '*'
    for (const listener of listeners) listener(device)
  }

  return {
    name: 'mqtt',
    reaches,
    async execute({ id, device, command, args }) {
      const topic = `command/${device}/${command}`
      if (broker === undefined || !reaches(device, command))
        throw new NotConnectedError('SLUICE_DEVICE_OFFLINE', `the device does not subscribe to ${topic}`)
      await broker.publish(topic, Buffer.from(JSON.stringify({ id, args })), { qos: 1 })
      return undefined
    },
    onReachable(listener) {
      listeners.add(listener)
      return () => listeners.delete(listener)
    },
    authorizePublish(identity, topic) {
      const device = ACK.exec(topic)?.[1]
      return device === undefined || mayAnswer(identity, device, topic)
    },
    attach(with_, answered) {
      broker = with_
      with_.onSubscribe(subscribed)
      with_.onPublish('command/+/+/ack', (topic, payload, publisher) => {
        const [, device, command] = ACK.exec(topic) ?? []
        if (device === undefined || command === undefined || publisher === null) return
        const answer = answerOf(payload)
        if (answer && mayAnswer(publisher, device, topic)) answered({ device, command, ...answer })
      })
    },
  }
}

function isLevel(name: string): boolean {
  return name !== '' && !/[/+#\0]/.test(name)
}

/** `{id,ok,result?,reason?}`, else undefined. */
export function answerOf(payload: Uint8Array): { id: string; result: CommandResult } | undefined {
  if (payload.length > MAX_RESULT) return undefined
  try {
    const answer: unknown = JSON.parse(Buffer.from(payload).toString())
    if (typeof answer !== 'object' || answer === null) return undefined
    const { id, ok, result, reason } = answer as Record<string, unknown>
    if (typeof id !== 'string' || typeof ok !== 'boolean') return undefined
    return {
      id,
      result: { ok, ...(result === undefined ? {} : { result }), ...(typeof reason === 'string' ? { reason } : {}) },
    }
  } catch {
    return undefined
  }
}
