/** A client that speaks in packets of `mqtt-packet`, a codec that is not ours. */
import type { Socket } from 'node:net'
import type { TestContext } from 'node:test'
import mqtt, { type IConnackPacket, type IConnectPacket, type IPublishPacket, type Packet } from 'mqtt-packet'
import { openWire, type Wire } from './wire.ts'

mqtt.writeToStream.cacheNumbers = false

export class PacketClient {
  readonly socket: Socket
  readonly version: 4 | 5
  /** Packets that have come and were not asked for yet. */
  readonly waiting: Packet[] = []
  /** Resolves when the connection has ended. */
  readonly closed: Promise<void>
  readonly #wire: Wire

  constructor(t: TestContext, port: number, version: 4 | 5 = 5) {
    this.version = version
    const parser = mqtt.parser({ protocolVersion: version })
    parser.on('packet', (packet) => this.waiting.push(packet))
    this.#wire = openWire(t, port, (chunk) => parser.parse(chunk))
    this.socket = this.#wire.socket
    this.closed = this.#wire.closed
    parser.on('error', (error: Error) => this.socket.destroy(error))
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
    await this.#wire.until(
      () => this.waiting.length > 0,
      () => `a ${cmd}`,
    )
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
