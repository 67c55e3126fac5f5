/**
 * Commands out, in two ways.
 *
 *   a device that listens      PUT or POST to it; its answer is the outcome
 *   a device that does not     it observes `/command/{device}`; every command is a notification `{id,command,args}`, and the
 *                              device answers with POST `/command/{device}/{name}/ack` of `{id,ok,result?}`
 *
 * Of what was sent and not answered nobody knows whether it was done: such a command stays open until its deadline.
 */

import { NotConnectedError } from '../../gateway/errors.ts'
import type { Command, Commander, CommandResult } from '../../gateway/plugin.ts'
import { answerOf } from '../answer.ts'
import type { Client, ClientRequest, ClientResponse } from './client.ts'
import { codeText, NOTHING } from './codec.ts'
import { BAD_REQUEST, CHANGED, CONTENT, codesByMethod, FORBIDDEN, isSuccess, NOT_FOUND } from './codes.ts'
import type { CoapConfig } from './config.ts'
import { JSON_FORMAT, TEXT_PLAIN } from './content-format.ts'
import { CoapError } from './errors.ts'
import type { Observation } from './observe.ts'
import type { Request } from './request.ts'
import type { Resource, Respond } from './resource.ts'
import type { Rights } from './rights.ts'
import { diagnostic } from './server.ts'
import type { Peer } from './transport.ts'

export interface CommandChannel extends Commander {
  readonly resources: readonly Resource[]
}

export interface CommandOptions {
  readonly devices: CoapConfig['devices']
  readonly rights: Rights
  /** Undefined while nothing is open. */
  client(): Client | undefined
  /** @throws NotConnectedError */
  peerOf(device: string, signal: AbortSignal): Promise<Peer>
}

type Settle = (result: CommandResult) => void

export function createCommands(options: CommandOptions): CommandChannel {
  const channels = new Map<string, Observation>()
  const waiting = new Map<string, { readonly device: string; readonly settle: Settle }>()
  const listeners = new Set<(device: string) => void>()

  function observed(observation: Observation): void {
    const device = observation.params.device as string
    channels.get(device)?.end()
    channels.set(device, observation)
    observation.onEnd(() => {
      if (channels.get(device) === observation) channels.delete(device)
    })
    for (const listener of listeners) listener(device)
  }

  function get(request: Request, respond: Respond): void {
    const allowed = options.rights.mayBeCommanded(request.peer, request.params.device as string)
    respond(allowed ? { code: CONTENT } : { code: FORBIDDEN })
  }

  function acknowledge(request: Request, respond: Respond): void {
    const device = request.params.device as string
    if (!options.rights.mayBeCommanded(request.peer, device)) {
      respond({ code: FORBIDDEN })
      return
    }
    const answer = answerOf(request.payload)
    if (!answer) {
      respond(diagnostic(BAD_REQUEST, 'an answer is {"id","ok","result"?}'))
      return
    }
    const command = waiting.get(answer.id)
    if (command?.device !== device) {
      respond({ code: NOT_FOUND })
      return
    }
    command.settle(answer.result)
    respond({ code: CHANGED })
  }

  function notify(channel: Observation, command: Command, signal: AbortSignal): Promise<CommandResult> {
    return new Promise((resolve) => {
      const end = () => {
        waiting.delete(command.id)
        signal.removeEventListener('abort', aborted)
      }
      const aborted = () => {
        end()
        takeBack?.()
      }
      const settle = (result: CommandResult) => {
        end()
        resolve(result)
      }
      waiting.set(command.id, { device: command.device, settle })
      signal.addEventListener('abort', aborted, { once: true })
      const { id, command: name, args } = command
      const payload = Buffer.from(JSON.stringify({ id, command: name, args }))
      let takeBack: (() => void) | undefined
      takeBack = channel.notify({ code: CONTENT, contentFormat: JSON_FORMAT, payload }, (outcome) => {
        takeBack = undefined
        if (outcome === 'reset') settle({ ok: false, reason: 'the device no longer takes commands' })
      })
    })
  }

  async function call(command: Command, signal: AbortSignal): Promise<CommandResult> {
    const peer = await options.peerOf(command.device, signal)
    const client = options.client()
    if (!client) throw new NotConnectedError('SLUICE_COAP', 'the CoAP source is not running')
    try {
      return resultOf(await client.request(peer, requestFor(command), signal))
    } catch (error) {
      if (error instanceof CoapError && error.refused) return { ok: false, reason: 'the device refused the message' }
      return new Promise(() => {})
    }
  }

  function requestFor(command: Command): ClientRequest {
    const target = options.devices[command.device]?.commands[command.command]
    const path = target?.path ?? `command/${encodeURIComponent(command.command)}`
    const code = codesByMethod[target?.method ?? 'post']
    const { id, args } = command
    if (target?.body !== 'args')
      return { code, path, contentFormat: JSON_FORMAT, payload: Buffer.from(JSON.stringify({ id, args })) }
    if (args === undefined) return { code, path, payload: NOTHING }
    if (typeof args === 'object')
      return { code, path, contentFormat: JSON_FORMAT, payload: Buffer.from(JSON.stringify(args)) }
    return { code, path, contentFormat: TEXT_PLAIN, payload: Buffer.from(String(args)) }
  }

  return {
    resources: [
      { path: 'command/{device}', get, observed, attributes: { rt: 'command', ct: `${JSON_FORMAT}` } },
      { path: 'command/{device}/{name}/ack', post: acknowledge },
    ],
    reaches: (device) => channels.has(device) || Object.hasOwn(options.devices, device),
    onReachable(listener) {
      listeners.add(listener)
      return () => listeners.delete(listener)
    },
    devices: () => channels.keys(),
    describe(device) {
      const channel = channels.get(device)
      const security = channel?.peer.secure ? 'psk' : 'none'
      return channel && { state: 'online', details: { protocol: 'CoAP', observes: `/command/${device}`, security } }
    },
    execute(command, signal) {
      const channel = channels.get(command.device)
      if (channel) return notify(channel, command, signal)
      if (Object.hasOwn(options.devices, command.device)) return call(command, signal)
      return Promise.reject(
        new NotConnectedError('SLUICE_COAP', `device ${command.device} does not observe /command/${command.device}`),
      )
    },
  }
}

function resultOf(response: ClientResponse): CommandResult {
  const result = bodyOf(response)
  if (isSuccess(response.code)) return result === undefined ? { ok: true } : { ok: true, result }
  const reason = typeof result === 'string' ? `${codeText(response.code)} ${result}` : codeText(response.code)
  return { ok: false, reason }
}

function bodyOf({ payload, contentFormat }: ClientResponse): unknown {
  if (payload.length === 0) return undefined
  if (contentFormat !== JSON_FORMAT) return payload.toString()
  try {
    return JSON.parse(payload.toString())
  } catch {
    return payload.toString()
  }
}
