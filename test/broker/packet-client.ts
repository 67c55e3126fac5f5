/** A client that speaks in packets of `mqtt-packet`, a codec that is not ours. */
import { connect, type Socket } from 'node:net'
import type { TestContext } from 'node:test'
import mqtt, { type IConnackPacket, type IConnectPacket, type IPublishPacket, type Packet } from 'mqtt-packet'
import { bounded } from './support.ts'

mqtt.writeToStream.cacheNumbers = false

export class PacketClient {
  readonly socket: Socket
  readonly version: 4 | 5
  /** Packets that have come and were not asked for yet. */
  readonly waiting: Packet[] = []
  /** Resolves when the connection has ended. */
  readonly closed: Promise<void>
  #wake: () => void = () => {}
  #ended = false

  constructor(t: TestContext, port: number, version: 4 | 5 = 5) {
    this.version = version
    this.socket = connect({ port, host: '127.0.0.1', noDelay: true })
    this.socket.on('error', () => {})
    const parser = mqtt.parser({ protocolVersion: version })
    parser.on('packet', (packet) => {
      this.waiting.push(packet)
      this.#wake()
    })
    parser.on('error', (error: Error) => this.socket.destroy(error))
    this.socket.on('data', (chunk) => parser.parse(chunk))
    this.closed = bounded(
      new Promise((resolve) => {
        this.socket.on('close', () => {
          this.#ended = true
          this.#wake()
          resolve()
        })
      }),
      () => 'close',
    )
    this.closed.catch(() => {})
    t.after(() => this.socket.destroy())
  }

  /** Connected and welcomed. */
  static async open(
    t: TestContext,
    port: number,
    connect: Partial<IConnectPacket> = {},
    version: 4 | 5 = 5,
  ): Promise<{ client: PacketClient; connack: IConnackPacket }> {
    const client = new PacketClient(t, port, version)
    client.connect(connect)
    const connack = await client.next('connack')
    const code = version === 5 ? connack.reasonCode : connack.returnCode
    if (code !== 0) throw new Error(`refused: ${code}`)
    return { client, connack }
  }

  connect(connect: Partial<IConnectPacket>): this {
    return this.send({ cmd: 'connect', protocolVersion: this.version, clientId: `p-${++unnamed}`, ...connect })
  }

  send(...packets: Packet[]): this {
    for (const packet of packets) this.socket.write(mqtt.generate(packet, { protocolVersion: this.version }))
    return this
  }

  publish(topic: string, payload: string, options: Partial<IPublishPacket> = {}): this {
    const { qos = 0 } = options
    const id = qos > 0 ? { messageId: 1 } : {}
    return this.send({ cmd: 'publish', topic, payload, qos, dup: false, retain: false, ...id, ...options })
  }

  /** The next packet, which must be of this kind. */
  async next<Cmd extends Packet['cmd']>(cmd: Cmd): Promise<Extract<Packet, { cmd: Cmd }>> {
    const some = async () => {
      while (this.waiting.length === 0 && !this.#ended) await new Promise<void>((resolve) => (this.#wake = resolve))
    }
    await bounded(some(), () => `a ${cmd}`)
    const packet = this.waiting.shift()
    if (packet?.cmd !== cmd) throw new Error(`not a ${cmd}: ${JSON.stringify(packet)}`)
    return packet as Extract<Packet, { cmd: Cmd }>
  }

  async subscribe(
    filter: string,
    options: { qos?: 0 | 1 | 2; nl?: boolean; rap?: boolean; rh?: number; identifier?: number } = {},
  ): Promise<number[]> {
    const { identifier, qos = 0, nl = false, rap = false, rh = 0 } = options
    const properties = identifier === undefined ? {} : { properties: { subscriptionIdentifier: identifier } }
    this.send({ cmd: 'subscribe', messageId: 99, subscriptions: [{ topic: filter, qos, nl, rap, rh }], ...properties })
    return (await this.next('suback')).granted as number[]
  }

  /** All that was sent before has been answered, and nothing else has come. */
  async quiet(): Promise<void> {
    this.send({ cmd: 'pingreq' })
    await this.next('pingresp')
  }
}

let unnamed = 0
