/**
 * Many CoAP devices in a process of its own, each with a socket, as each has an address.
 *
 *   sessions   each makes a DTLS session and keeps it
 *   clients    each registers as a LwM2M client with a thermometer, answers what it is asked, and updates when told to
 *
 *   node coap-fleet.cjs '{"kind":"clients","port":5683,"count":10000,"rate":1000,"seconds":10}'
 *
 * Prints a JSON line when all are there, waits for a line on its standard input, and for clients prints another when
 * they have updated.
 */
import { createSocket, type Socket } from 'node:dgram'
import { createInterface } from 'node:readline'
import { systemClock } from '../gateway/clock.ts'
import { ACK, CON, decode, encode } from '../plugins/coap/codec.ts'
import { createDtlsClient } from '../plugins/coap/dtls/client.ts'
import { CONTENT_FORMAT, LOCATION_PATH, OBSERVE, texts, uintOption, uriOptions } from '../plugins/coap/options.ts'
import type { DatagramReceiver, DatagramTransport, Peer } from '../plugins/coap/transport.ts'

export interface Fleet {
  readonly kind: 'sessions' | 'clients'
  readonly port: number
  readonly count: number
  /** Key in hexadecimal; the identity is `bench`. */
  readonly key?: string
  /** Updates per second, all together, and for how long. */
  readonly rate?: number
  readonly seconds?: number
}

export interface Arrived {
  readonly count: number
  readonly seconds: number
}

export interface Updated {
  readonly answered: number
  readonly sent: number
  readonly seconds: number
  readonly p99: number | null
}

/** Devices that do the same thing at once. */
const AT_ONCE = 64
const GET = 1
const POST = 2
const CONTENT = 0x45
const EMPTY = Buffer.alloc(0)

async function openSocket(port: number): Promise<Socket> {
  const socket = createSocket('udp4')
  await new Promise<void>((resolve) => socket.connect(port, '127.0.0.1', resolve))
  return socket
}

/** A DTLS session over a socket of its own. */
async function openSession(socket: Socket, key: Buffer): Promise<void> {
  const lower: DatagramTransport = {
    port: 0,
    attach: (receiver: DatagramReceiver) => void socket.on('message', (data) => receiver.datagram(data, server)),
    send: (data) => socket.send(data),
    close: async () => {},
  }
  const at = { key: 'server', address: '127.0.0.1', port: 0, secure: false, identity: undefined }
  const server: Peer = { ...at, transport: lower }
  const dtls = createDtlsClient({ clock: systemClock, lower })
  dtls.attach({ datagram() {}, gone() {}, moved() {} })
  await dtls.connect(server, { identity: 'bench', key })
}

/** A LwM2M client; its requests are answered one at a time. */
class Client {
  readonly #socket: Socket
  #id = 0
  #location = ''
  #answered: ((ok: boolean) => void) | undefined

  constructor(socket: Socket) {
    this.#socket = socket
    socket.on('message', (data) => this.#heard(data))
  }

  async register(name: string): Promise<void> {
    const query = [`ep=${name}`, 'lt=3600', 'lwm2m=1.1', 'b=U']
    const options = [...uriOptions('rd', query), uintOption(CONTENT_FORMAT, 40)]
    if (!(await this.#post(options, Buffer.from('</1/0>,</3/0>,</3303/0>')))) throw new Error(`${name} was refused`)
  }

  update(): Promise<boolean> {
    return this.#post(uriOptions(this.#location), EMPTY)
  }

  #post(options: ReturnType<typeof uriOptions>, payload: Buffer): Promise<boolean> {
    this.#id = (this.#id + 1) & 0xffff
    const data = encode(CON, POST, this.#id, Buffer.from([1]), options, payload)
    return new Promise((resolve) => {
      const again = systemClock.every(2000, () => this.#socket.send(data))
      this.#answered = (ok) => {
        again.cancel()
        resolve(ok)
      }
      this.#socket.send(data)
    })
  }

  #heard(data: Buffer): void {
    const message = decode(data)
    if (typeof message === 'string') return
    const { type, code, id, token, options } = message
    if (code === GET) {
      const answer = [uintOption(OBSERVE, 1), uintOption(CONTENT_FORMAT, 0)]
      this.#socket.send(encode(ACK, CONTENT, id, token, answer, Buffer.from('21.5')))
      return
    }
    // A response that took longer than half a second comes in a message of its own.
    if (type === CON) this.#socket.send(encode(ACK, 0, id))
    if (type === CON || (type === ACK && id === this.#id && code !== 0)) {
      const location = texts(options, LOCATION_PATH)
      if (location.length > 0) this.#location = location.join('/')
      this.#answered?.(code >> 5 === 2)
    }
  }
}

/** Does something for each of many, some at a time. */
async function each(count: number, work: (nth: number) => Promise<void>): Promise<Arrived> {
  const began = performance.now()
  let next = 0
  const worker = async () => {
    for (let nth = next++; nth < count; nth = next++) await work(nth)
  }
  await Promise.all(Array.from({ length: AT_ONCE }, worker))
  return { count, seconds: (performance.now() - began) / 1000 }
}

/** Every client in its turn, at the given rate. */
async function updates(clients: readonly Client[], rate: number, seconds: number): Promise<Updated> {
  const took: number[] = []
  const waiting: Promise<void>[] = []
  const began = performance.now()
  let sent = 0
  const send = async (client: Client) => {
    const at = performance.now()
    if (await client.update()) took.push(performance.now() - at)
  }
  while (sent < rate * seconds) {
    const due = Math.min(rate * seconds, Math.floor(((performance.now() - began) / 1000) * rate))
    for (; sent < due; sent++) waiting.push(send(clients[sent % clients.length] as Client))
    await systemClock.sleep(2)
  }
  await Promise.all(waiting)
  took.sort((a, b) => a - b)
  const p99 = took[Math.floor(took.length * 0.99)] ?? null
  return { answered: took.length, sent, seconds: (performance.now() - began) / 1000, p99 }
}

function say(result: object): void {
  process.stdout.write(`${JSON.stringify(result)}\n`)
}

async function main(): Promise<void> {
  const fleet = JSON.parse(process.argv[2] ?? '{}') as Fleet
  const sockets: Socket[] = []
  for (let i = 0; i < fleet.count; i++) sockets.push(await openSocket(fleet.port))
  const told = new Promise<void>((resolve) => createInterface(process.stdin).once('line', () => resolve()))
  if (fleet.kind === 'sessions') {
    const key = Buffer.from(fleet.key ?? '', 'hex')
    say(await each(fleet.count, (nth) => openSession(sockets[nth] as Socket, key)))
    await told
  } else {
    const clients = sockets.map((socket) => new Client(socket))
    say(await each(fleet.count, (nth) => (clients[nth] as Client).register(`thermometer-${nth}`)))
    await told
    say(await updates(clients, fleet.rate ?? 1000, fleet.seconds ?? 5))
  }
  process.exit(0)
}

void main()
