/**
 * The load generator for CoAP: a process of its own that sends datagrams encoded, and for DTLS sealed, before the clock
 * starts, so that it costs a small part of what it measures. Each socket is a device with `window` requests under way.
 *
 *   node coap-load.cjs '{"port":5683,"sockets":50,"messages":200000,"confirmable":true}'
 *
 * Prints one JSON line when every request was answered: how many, in what time, and how long answers took.
 */
import { createSocket, type Socket } from 'node:dgram'
import { systemClock } from '../gateway/clock.ts'
import { CON, decode, encode, NON, type Option } from '../plugins/coap/codec.ts'
import { createDtlsClient } from '../plugins/coap/dtls/client.ts'
import { CONTENT_FORMAT, NO_RESPONSE, uintOption, uriOptions } from '../plugins/coap/options.ts'
import type { DatagramReceiver, DatagramTransport, Peer } from '../plugins/coap/transport.ts'
import { payload } from './payload.ts'

export interface CoapLoad {
  readonly port: number
  readonly sockets: number
  readonly messages: number
  readonly confirmable: boolean
  /** Of so many requests one wants an answer (RFC 7967), which says that those before it have arrived too. */
  readonly answerEvery: number
  /** Requests under way per socket. */
  readonly window: number
  /** Default: POST /telemetry/{device}. */
  readonly put?: string
  readonly devices: number
  /** Event time of the first reading, ms since the epoch. */
  readonly start: number
  /** Event time between two readings of a device, ms. */
  readonly step: number
  /** Key in hexadecimal; the identity is `bench`. */
  readonly key?: string
  readonly suite?: number
}

export interface CoapSent {
  readonly sent: number
  /** Requests of which nothing was heard for a second, or whose answer was an error. */
  readonly failed: number
  readonly seconds: number
  readonly cpu: number
  readonly p50: number | null
  readonly p99: number | null
}

const POST = 2
const PUT = 3
const TOKEN = Buffer.from([0xbe])
const NOT_HEARD = 1000

interface Sender {
  readonly socket: Socket
  readonly datagrams: readonly Buffer[]
  sent: number
  done: number
  heard: number
  /** When each request under way was sent, oldest first. */
  readonly times: number[]
}

let failed = 0
const latencies: number[] = []

/** All datagrams of a socket, in the order they are sent. */
function encoded(load: CoapLoad, nth: number): Buffer[] {
  const devices = Math.floor(load.devices / load.sockets)
  return Array.from({ length: Math.floor(load.messages / load.sockets) }, (_, i) => {
    const device = nth * devices + (i % devices)
    const body = payload(device, load.start + Math.floor(i / devices) * load.step, i)
    const options: Option[] = [...uriOptions(load.put ?? `telemetry/dvc${device}`), uintOption(CONTENT_FORMAT, 50)]
    if ((i + 1) % load.answerEvery !== 0) options.push(uintOption(NO_RESPONSE, 26))
    const type = load.confirmable ? CON : NON
    return encode(type, load.put === undefined ? POST : PUT, i & 0xffff, TOKEN, options, body)
  })
}

/** The same as records of a session, which is made here. */
async function sealed(load: CoapLoad, socket: Socket, plain: readonly Buffer[]): Promise<Buffer[]> {
  const records: Buffer[] = []
  let collecting = false
  const transport: DatagramTransport = {
    port: 0,
    attach(receiver: DatagramReceiver) {
      socket.on('message', (data) => {
        if (!collecting) receiver.datagram(data, server)
      })
    },
    send(data) {
      if (collecting) records.push(data as Buffer)
      else socket.send(data)
    },
    close: async () => {},
  }
  const server: Peer = {
    key: 'server',
    address: '127.0.0.1',
    port: load.port,
    secure: false,
    identity: undefined,
    transport,
  }
  const dtls = createDtlsClient({ clock: systemClock, lower: transport })
  dtls.attach({ datagram() {}, gone() {}, moved() {} })
  const suites = load.suite === undefined ? {} : { suites: [load.suite] }
  const key = Buffer.from(load.key ?? '', 'hex')
  const session = await dtls.connect(server, { identity: 'bench', key, ...suites })
  collecting = true
  for (const datagram of plain) dtls.send(datagram, session)
  return records
}

async function open(load: CoapLoad, nth: number): Promise<Sender> {
  const socket = createSocket('udp4')
  await new Promise<void>((resolve) => socket.connect(load.port, '127.0.0.1', resolve))
  const plain = encoded(load, nth)
  const datagrams = load.key === undefined ? plain : await sealed(load, socket, plain)
  return { socket, datagrams, sent: 0, done: 0, heard: 0, times: [] }
}

function run(sender: Sender, load: CoapLoad): Promise<void> {
  const { socket, datagrams, times } = sender
  const { answerEvery, window } = load
  const secure = load.key !== undefined
  return new Promise((resolve) => {
    const pump = () => {
      const now = performance.now()
      while (sender.sent < datagrams.length && sender.sent - sender.done < window) {
        socket.send(datagrams[sender.sent++] as Buffer)
        if (sender.sent % answerEvery === 0) times.push(now)
      }
      if (sender.done + (datagrams.length % answerEvery) < datagrams.length) return
      watch.cancel()
      resolve()
    }
    const watch = systemClock.every(NOT_HEARD, () => {
      if (performance.now() - sender.heard < NOT_HEARD) return
      failed += times.splice(0).length
      sender.done = sender.sent
      pump()
    })
    socket.on('message', (data) => {
      if (!secure && !isResponse(data, socket)) return
      sender.done += answerEvery
      sender.heard = performance.now()
      latencies.push(sender.heard - (times.shift() ?? sender.heard))
      pump()
    })
    pump()
  })
}

/** An empty acknowledgement is none; a separate response is acknowledged. */
function isResponse(data: Buffer, socket: Socket): boolean {
  if (data[1] === 0) return false
  if (((data[0] as number) & 0x30) === 0) socket.send(Buffer.from([0x60, 0, data[2] as number, data[3] as number]))
  if ((data[1] as number) >> 5 !== 2) {
    failed++
    if (failed === 1) process.stderr.write(`${JSON.stringify(decode(data))}\n`)
  }
  return true
}

async function main(): Promise<void> {
  const load = JSON.parse(process.argv[2] ?? '{}') as CoapLoad
  const senders: Sender[] = []
  for (let i = 0; i < load.sockets; i++) senders.push(await open(load, i))
  const cpu = process.cpuUsage()
  const began = performance.now()
  await Promise.all(senders.map((sender) => run(sender, load)))
  const used = process.cpuUsage(cpu)
  latencies.sort((a, b) => a - b)
  const at = (q: number) => latencies[Math.min(latencies.length - 1, Math.floor(latencies.length * q))] ?? null
  const result: CoapSent = {
    sent: senders.reduce((sum, sender) => sum + sender.sent, 0),
    failed,
    seconds: (performance.now() - began) / 1000,
    cpu: (used.user + used.system) / 1e6,
    p50: at(0.5),
    p99: at(0.99),
  }
  process.stdout.write(`${JSON.stringify(result)}\n`)
  process.exit(0)
}

void main()
