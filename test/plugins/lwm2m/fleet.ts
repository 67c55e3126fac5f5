/**
 * Modems that report the same way whatever they speak: one reading at a time, again until it is acknowledged, over a
 * network that loses datagrams, to a gateway that may be killed.
 */
import type { MqttClient } from 'mqtt'
import { type Client, createClient } from '../../../plugins/coap/client.ts'
import { CONTENT, isSuccess, POST } from '../../../plugins/coap/codes.ts'
import { createDtlsClient } from '../../../plugins/coap/dtls/client.ts'
import type { Observation } from '../../../plugins/coap/observe.ts'
import type { Resource } from '../../../plugins/coap/resource.ts'
import { createServer, type Server } from '../../../plugins/coap/server.ts'
import type { DatagramTransport, Peer } from '../../../plugins/coap/transport.ts'
import { bindUdp, type UdpTransport } from '../../../plugins/coap/udp.ts'
import { encodeSenmlCbor, encodeSenmlJson, type SenmlItem } from '../../../plugins/lwm2m/senml.ts'
import { connectDevice } from '../../support/mqtt-device.ts'
import { LOOPBACK, quick } from '../coap/gateway.ts'

export interface Report {
  /** ms since the epoch */
  readonly time: number
  readonly cpuusage: number
  readonly memoryusage: number
  readonly interfacestatus: string
}

export interface Ports {
  readonly mqtt: number
  readonly dtls: number
  readonly lwm2m: number
}

/** Resolves when the gateway has acknowledged it. Rejects when nobody knows whether it was taken. */
type Deliver = (report: Report, signal: AbortSignal) => Promise<void>

export interface Modem {
  readonly name: string
  /** Makes its connection, session or registration; again after the gateway was away. */
  connect(signal: AbortSignal): Promise<void>
  readonly deliver: Deliver
  close(): Promise<void>
}

/** Each datagram is lost with this probability, in either direction. */
export interface Weather {
  readonly loss: number
  readonly random: () => number
}

const PATIENT = { ackTimeout: 1000, maxRetransmit: 12 }
const SENML_CBOR = 112
const SENML_JSON = 110
const JSON_FORMAT = 50

export function json({ time, cpuusage, memoryusage, interfacestatus }: Report): string {
  const modem = { cpuusage, memoryusage, interfacestatus }
  return JSON.stringify({ event_time: new Date(time).toISOString(), modem })
}

function senml({ time, cpuusage, memoryusage, interfacestatus }: Report): SenmlItem[] {
  const values = [cpuusage, memoryusage, interfacestatus]
  return values.map((value, i) => ({ name: `/33000/0/${i + 1}`, value, time: time / 1000 }))
}

async function lossy({ loss, random }: Weather): Promise<UdpTransport> {
  const udp = await bindUdp(LOOPBACK, 'modem')
  const bad: UdpTransport = {
    ...udp,
    attach: (to) =>
      udp.attach({
        ...to,
        datagram(data, from) {
          if (random() >= loss) to.datagram(data, { ...from, transport: bad })
        },
      }),
    send(data, to) {
      if (random() >= loss) udp.send(data, to)
    },
    peer: (address, port) => ({ ...udp.peer(address, port), transport: bad }),
  }
  return bad
}

function speaker(transport: DatagramTransport, resources: readonly Resource[] = []) {
  const server: Server = createServer({ clock: quick, resources, parameters: PATIENT })
  server.endpoint.attach(transport)
  return { server, client: createClient({ clock: quick, endpoint: server.endpoint }) }
}

/** Rejects when the signal aborts, whatever becomes of the work. */
function whileThere<T>(signal: AbortSignal, work: Promise<T>): Promise<T> {
  return new Promise((resolve, reject) => {
    const gone = () => reject(signal.reason)
    signal.addEventListener('abort', gone, { once: true })
    work.then(resolve, reject).finally(() => signal.removeEventListener('abort', gone))
  })
}

export function mqttModem(name: string, ports: Ports): Modem {
  let client: MqttClient | undefined
  return {
    name,
    async connect() {
      client?.end(true)
      client = await connectDevice(ports.mqtt)
    },
    async deliver(report, signal) {
      if (client) await whileThere(signal, client.publishAsync(`telemetry/${name}`, json(report), { qos: 1 }))
    },
    close: async () => void client?.end(true),
  }
}

export async function coapModem(name: string, key: Buffer, ports: Ports, weather: Weather): Promise<Modem> {
  const udp = await lossy(weather)
  const dtls = createDtlsClient({ clock: quick, lower: udp })
  const { client, server } = speaker(dtls)
  let gateway: Peer | undefined
  return {
    name,
    async connect(signal) {
      gateway = await dtls.connect(udp.peer('127.0.0.1', ports.dtls), { identity: name, key }, signal)
    },
    async deliver(report, signal) {
      const request = {
        code: POST,
        path: `telemetry/${name}`,
        contentFormat: JSON_FORMAT,
        payload: Buffer.from(json(report)),
      }
      await accepted(client, gateway as Peer, request, signal)
    },
    async close() {
      server.close()
      await dtls.close()
    },
  }
}

async function accepted(client: Client, to: Peer, request: Parameters<Client['request']>[1], signal: AbortSignal) {
  const { code } = await client.request(to, request, signal)
  if (!isSuccess(code)) throw new Error(`refused with ${code}`)
}

/** Registers once: registrations outlive a crash of the gateway. */
async function lwm2mModem(name: string, ports: Ports, weather: Weather, resources: readonly Resource[]) {
  const udp = await lossy(weather)
  const { client, server } = speaker(udp, resources)
  const gateway = udp.peer('127.0.0.1', ports.lwm2m)
  let registered = false
  return {
    name,
    client,
    gateway,
    async connect(signal: AbortSignal) {
      const query = [`ep=${name}`, 'lt=3600', 'lwm2m=1.1', 'b=U']
      const links = Buffer.from('</1/0>,</3/0>,</33000/0>')
      if (!registered)
        await accepted(client, gateway, { code: POST, path: 'rd', query, contentFormat: 40, payload: links }, signal)
      registered = true
    },
    async close() {
      server.close()
      await udp.close()
    },
  }
}

export async function sendingModem(name: string, ports: Ports, weather: Weather): Promise<Modem> {
  const modem = await lwm2mModem(name, ports, weather, [])
  return {
    ...modem,
    deliver: (report, signal) => {
      const payload = encodeSenmlCbor(senml(report))
      return accepted(
        modem.client,
        modem.gateway,
        { code: POST, path: 'dp', contentFormat: SENML_CBOR, payload },
        signal,
      )
    },
  }
}

/** Its first answer holds no value; each report is a confirmable notification. */
export async function watchedModem(name: string, ports: Ports, weather: Weather): Promise<Modem> {
  let current: Observation | undefined
  let arrived: (() => void) | undefined
  const resource: Resource = {
    path: '33000/0',
    get: (_request, respond) => respond({ code: CONTENT, contentFormat: SENML_JSON, payload: Buffer.from('[]') }),
    observed(observation) {
      current = observation
      arrived?.()
    },
  }
  const modem = await lwm2mModem(name, ports, weather, [resource])
  return {
    ...modem,
    async deliver(report, signal) {
      while (!current || current.ended) {
        await new Promise<void>((resolve) => {
          arrived = resolve
        })
      }
      const payload = encodeSenmlJson(senml(report))
      const observation = current
      const taken = new Promise<void>((resolve, reject) => {
        observation.notify({ code: CONTENT, contentFormat: SENML_JSON, payload }, (outcome) =>
          outcome === 'acknowledged' ? resolve() : reject(new Error(outcome)),
        )
      })
      await whileThere(signal, taken)
    },
  }
}
