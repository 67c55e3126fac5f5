/**
 * Devices behind an HTTP endpoint of their own: POST `{id,device,command,args}` with the id as Idempotency-Key. 2xx is
 * the device's yes, with `{ok,result?,reason?}` as body when it wants to say more; 4xx is its no. No connection means
 * that nothing was sent; whatever else goes wrong may have been done.
 */
import * as http from 'node:http'
import * as https from 'node:https'
import type { Clock } from '../clock.ts'
import { NotConnectedError, reasonOf, SluiceError } from '../errors.ts'
import type { Command, CommandResult } from '../plugin.ts'
import type { Transport } from './transport.ts'

/** ms that a device that refused the connection is left alone; twice as long each time. */
const FIRST_PAUSE = 1000
const LONGEST_PAUSE = 60_000
const MAX_ANSWER = 64 * 1024

/** @param urlOf the device's endpoint in the config */
export function createWebhooks(urlOf: (device: string) => string | undefined, clock: Clock): Transport {
  const listeners = new Set<(device: string) => void>()
  const resting = new Set<string>()
  const pauses = new Map<string, number>()
  const rest = (device: string) => {
    const pause = Math.min(LONGEST_PAUSE, 2 * (pauses.get(device) ?? FIRST_PAUSE / 2))
    pauses.set(device, pause)
    resting.add(device)
    clock.after(pause, () => {
      resting.delete(device)
      for (const listener of listeners) listener(device)
    })
  }
  return {
    name: 'webhook',
    reaches: (device) => urlOf(device) !== undefined && !resting.has(device),
    waiting: (device) => (urlOf(device) === undefined ? undefined : 'its webhook to answer'),
    onReachable(listener) {
      listeners.add(listener)
      return () => listeners.delete(listener)
    },
    async execute(command, signal) {
      const url = urlOf(command.device)
      if (url === undefined) throw new NotConnectedError('SLUICE_DEVICE_OFFLINE', `${command.device} has no webhook`)
      try {
        const result = await post(url, command, signal)
        pauses.delete(command.device)
        return result
      } catch (error) {
        if (error instanceof NotConnectedError) rest(command.device)
        throw error
      }
    },
  }
}

function post(url: string, { id, device, command, args }: Command, signal: AbortSignal): Promise<CommandResult> {
  const body = Buffer.from(JSON.stringify({ id, device, command, args }))
  return new Promise((resolve, reject) => {
    const { request } = url.startsWith('https:') ? https : http
    const headers = {
      'content-type': 'application/json',
      'content-length': body.length,
      // A key is a quoted string (RFC 8941, 3.3.3), of visible characters only.
      'idempotency-key': JSON.stringify(encodeURI(id)),
    }
    let connected = false
    const sent = request(url, { method: 'POST', headers, signal })
    sent.on('socket', (socket) => {
      if (!socket.connecting) connected = true
      socket.once('connect', () => {
        connected = true
      })
    })
    sent.on('error', (cause) => {
      const text = `webhook of ${device}: ${reasonOf(cause)}`
      if (connected) reject(new SluiceError('SLUICE_WEBHOOK', text, { cause }))
      else reject(new NotConnectedError('SLUICE_DEVICE_OFFLINE', text, { cause }))
    })
    sent.on('response', (response) => {
      const parts: Buffer[] = []
      let size = 0
      response.on('data', (chunk: Buffer) => {
        size += chunk.length
        if (size <= MAX_ANSWER) parts.push(chunk)
      })
      response.on('error', (cause) => reject(new SluiceError('SLUICE_WEBHOOK', `webhook of ${device}`, { cause })))
      response.on('end', () => {
        const status = response.statusCode ?? 0
        if (status >= 500 || status === 408 || status === 429)
          reject(new SluiceError('SLUICE_WEBHOOK', `webhook of ${device} answered ${status}`))
        else resolve(resultOf(status, Buffer.concat(parts).toString()))
      })
    })
    sent.end(body)
  })
}

function resultOf(status: number, text: string): CommandResult {
  const ok = status >= 200 && status < 300
  const said = parse(text)
  if (typeof said === 'object' && said !== null && 'ok' in said && typeof said.ok === 'boolean') {
    const { result, reason } = said as { result?: unknown; reason?: unknown }
    return {
      ok: ok && said.ok,
      ...(result === undefined ? {} : { result }),
      ...(typeof reason === 'string' ? { reason } : {}),
    }
  }
  if (!ok) return { ok, reason: `HTTP ${status}` }
  return said === undefined ? { ok } : { ok, result: said }
}

function parse(text: string): unknown {
  if (text.trim() === '') return undefined
  try {
    return JSON.parse(text)
  } catch {
    return text.slice(0, 1000)
  }
}
