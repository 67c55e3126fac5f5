/**
 * Commands over the gateway's own broker: `command/{device}/{name}` with `{id,args}`, QoS 1, not retained, only while a
 * client subscribes to it; the device answers on `command/{device}/{name}/ack` with `{id,ok,result?}`.
 *
 * Only the device addressed may answer. A connection that logged in is the device when its user is the device's id, or
 * when an ACL rule lets it publish to `command/…/ack` by name. An anonymous connection, which nobody vouches for, is
 * believed when its client id is the device's id, or when it has subscribed to the device's commands.
 */
import type { AclRule } from '../broker/acl.ts'
import { mayPublish, permissionsFor } from '../broker/acl.ts'
import type { Broker } from '../broker/broker.ts'
import type { Identity } from '../broker/options.ts'
import { NotConnectedError } from '../errors.ts'
import type { CommandResult } from '../plugin.ts'
import type { Transport } from './transport.ts'

const ACK = /^command\/([^/]+)\/([^/]+)\/ack$/
const COMMANDS_OF = /^command\/([^/+#]+)(?:\/|$)/
const MAX_LISTENERS = 50_000
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
  /** `client device` of those that subscribed to a device's commands. */
  const heard = new Set<string>()
  let broker: Broker | undefined

  const mayAnswer = (identity: Identity, device: string, topic: string): boolean => {
    const { user, client } = identity
    if (user === device || (user === undefined && client === device)) return true
    if (namedByAcl(acl(), identity, topic)) return true
    return user === undefined && heard.has(`${client}\n${device}`)
  }

  const subscribed = (filter: string, { client }: Identity) => {
    const device = COMMANDS_OF.exec(filter)?.[1]
    if (device !== undefined) {
      if (heard.size >= MAX_LISTENERS) heard.delete(heard.values().next().value ?? '')
      heard.add(`${client}\n${device}`)
    }
    if (device === undefined && !/^(command|\+|#)/.test(filter)) return
    for (const listener of listeners) listener(device ?? '*')
  }

  return {
    name: 'mqtt',
    reaches: (device, command) =>
      isLevel(device) && isLevel(command) && broker?.hasSubscriber(`command/${device}/${command}`) === true,
    async execute({ id, device, command, args }) {
      const topic = `command/${device}/${command}`
      if (broker?.hasSubscriber(topic) !== true)
        throw new NotConnectedError('SLUICE_DEVICE_OFFLINE', `nobody subscribes to ${topic}`)
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

/** A rule that names `command/…` says it on purpose; one for `#` does not. */
function namedByAcl(rules: readonly AclRule[] | undefined, { user, client }: Identity, topic: string): boolean {
  const named = rules?.map((rule) => ({
    ...rule,
    publish: (rule.publish ?? []).filter((pattern) => pattern.startsWith('command/')),
  }))
  return named !== undefined && mayPublish(permissionsFor(named, user, client), topic)
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
