/**
 * The AMQP 1.0 load generator: senders that write transfer frames encoded beforehand, as far as their credit goes, so
 * that it costs a small part of what it measures. It reads of what comes back only what it needs: credit and outcomes.
 *
 *   node amqp-load.cjs '{"port":5672,"senders":10,"messages":100000,"devices":5000,"start":0,"step":20}'
 *
 * Prints one JSON line when everything was accepted.
 */
import { connect, type Socket } from 'node:net'
import { openList, skip } from '../../plugins/amqp/types.ts'
import { payload } from '../payload.ts'
import { shareOf } from './rounds.ts'

export interface AmqpLoad {
  readonly port: number
  readonly senders: number
  readonly messages: number
  readonly devices: number
  readonly start: number
  readonly step: number
}

const [OPEN, BEGIN, ATTACH, FLOW, TRANSFER, DISPOSITION] = [0x10, 0x11, 0x12, 0x13, 0x14, 0x15]
const NULL = Buffer.from([0x40])

function uint(value: number): Buffer {
  const bytes = Buffer.alloc(5)
  bytes[0] = 0x70
  bytes.writeUInt32BE(value, 1)
  return bytes
}

function text(value: string): Buffer {
  return Buffer.concat([Buffer.from([0xa1, value.length]), Buffer.from(value)])
}

function described(descriptor: number, fields: readonly Buffer[]): Buffer {
  const body = Buffer.concat(fields)
  const head = Buffer.alloc(12)
  head.set([0, 0x53, descriptor, 0xd0])
  head.writeUInt32BE(body.length + 4, 4)
  head.writeUInt32BE(fields.length, 8)
  return Buffer.concat([head, body])
}

function frame(performative: Buffer, ...payload: Buffer[]): Buffer {
  const body = Buffer.concat([performative, ...payload])
  const head = Buffer.alloc(8)
  head.writeUInt32BE(body.length + 8)
  head[4] = 2
  return Buffer.concat([head, body])
}

/** header │ properties with `to` │ data */
function message(device: number, body: Buffer): Buffer {
  const data = Buffer.alloc(8)
  data.set([0, 0x53, 0x75, 0xb0])
  data.writeUInt32BE(body.length, 4)
  return Buffer.concat([described(0x73, [NULL, NULL, text(`telemetry/dvc${device}`)]), data, body])
}

/** Offset of the delivery number in a transfer made below. */
const NUMBER_AT = 8 + 12 + 5 + 1

function transfer(device: number, body: Buffer): Buffer {
  const number = uint(0)
  const tag = Buffer.concat([Buffer.from([0xa0, 4]), Buffer.alloc(4)])
  return frame(described(TRANSFER, [uint(0), number, tag, uint(0), Buffer.from([0x42])]), message(device, body))
}

interface Sender {
  readonly socket: Socket
  readonly total: number
  credit: number
  sent: number
  accepted: number
}

/** SASL is left out: the receiver listens on the loopback and lets anybody in. */
function greet(socket: Socket, name: string): void {
  const source = described(0x28, [text(name)])
  const target = described(0x29, [])
  socket.write(
    Buffer.concat([
      Buffer.from('AMQP\0\x01\0\0', 'latin1'),
      frame(described(OPEN, [text(name), text('localhost'), uint(65_536)])),
      frame(described(BEGIN, [NULL, uint(0), uint(0x7fffffff), uint(0x7fffffff)])),
      frame(
        described(ATTACH, [
          text(name),
          uint(0),
          Buffer.from([0x42]),
          Buffer.from([0x50, 0]),
          NULL,
          source,
          target,
          NULL,
          NULL,
          uint(0),
        ]),
      ),
    ]),
  )
}

/** Numbers of a frame's list by their place. */
function numbers(bytes: Buffer, start: number, end: number): (number | undefined)[] {
  const { at, count } = openList(bytes, start, end)
  const found: (number | undefined)[] = []
  for (let i = 0, next = at; i < count; i++) {
    const code = bytes[next]
    if (code === 0x43) found.push(0)
    else if (code === 0x52 || code === 0x50) found.push(bytes[next + 1])
    else if (code === 0x70) found.push(bytes.readUInt32BE(next + 1))
    else found.push(undefined)
    next = skip(bytes, next, end)
  }
  return found
}

function received(sender: Sender, bytes: Buffer, at: number, end: number): void {
  const start = at + 4 * (bytes[at + 4] as number)
  if (start === end) return
  const kind = bytes[start + 2]
  if (kind === FLOW) {
    const fields = numbers(bytes, start + 3, end)
    const [handle, delivered = 0, credit = 0] = fields.slice(4, 7)
    if (handle !== undefined) sender.credit = delivered + credit - sender.sent
  } else if (kind === DISPOSITION) {
    const [, first = 0, last] = numbers(bytes, start + 3, end)
    sender.accepted += (last ?? first) - first + 1
  } else if (kind !== undefined && kind >= 0x16) throw new Error('the receiver ends the link')
}

function run(load: AmqpLoad, nth: number): Promise<Sender> {
  const socket = connect({ port: load.port, host: '127.0.0.1' })
  const sender: Sender = { socket, total: Math.floor(load.messages / load.senders), credit: 0, sent: 0, accepted: 0 }
  const devices = shareOf(load.devices, load.senders, nth)
  const templates = devices.map((device, i) => transfer(device, payload(device, load.start, i)))
  const times = templates.map((bytes) => bytes.indexOf('"event_time":"') + 14)
  let rest = Buffer.alloc(0)
  let greeted = false
  socket.setNoDelay(true)
  greet(socket, `bench-${nth}`)
  return new Promise((resolve, reject) => {
    const pump = () => {
      const batch: Buffer[] = []
      while (sender.credit > 0 && sender.sent < sender.total) {
        const i = sender.sent % templates.length
        const bytes = Buffer.from(templates[i] as Buffer)
        bytes.writeUInt32BE(sender.sent, NUMBER_AT)
        bytes.writeUInt32BE(sender.sent, NUMBER_AT + 6)
        const time = load.start + Math.floor(sender.sent / templates.length) * load.step
        bytes.write(new Date(time).toISOString(), times[i] as number, 'latin1')
        batch.push(bytes)
        sender.sent++
        sender.credit--
      }
      if (batch.length > 0) socket.write(Buffer.concat(batch))
    }
    socket.on('error', reject)
    socket.on('close', () => reject(new Error('the receiver hung up')))
    socket.on('data', (chunk) => {
      rest = rest.length === 0 ? chunk : Buffer.concat([rest, chunk])
      let at = 0
      if (!greeted && rest.length >= 8) {
        greeted = true
        at = 8
      }
      while (greeted && rest.length - at >= 8 && rest.length - at >= rest.readUInt32BE(at)) {
        const end = at + rest.readUInt32BE(at)
        received(sender, rest, at, end)
        at = end
      }
      rest = rest.subarray(at)
      if (sender.accepted >= sender.total) resolve(sender)
      else pump()
    })
  })
}

async function main(): Promise<void> {
  const load = JSON.parse(process.argv[2] ?? '{}') as AmqpLoad
  const cpu = process.cpuUsage()
  const began = performance.now()
  const senders = await Promise.all(Array.from({ length: load.senders }, (_, i) => run(load, i)))
  const { user, system } = process.cpuUsage(cpu)
  const sent = senders.reduce((sum, sender) => sum + sender.sent, 0)
  const seconds = (performance.now() - began) / 1000
  process.stdout.write(`${JSON.stringify({ sent, seconds, cpu: (user + system) / 1e6 })}\n`)
  process.exit(0)
}

void main()
