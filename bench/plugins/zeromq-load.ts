/**
 * The ZeroMQ load generator: PUSH sockets that write frames encoded beforehand, many at a time, as libzmq does.
 *
 *   node zeromq-load.cjs '{"port":5557,"senders":10,"messages":1000000,"devices":5000,"start":0,"step":20}'
 *
 * Prints one JSON line when the kernel has taken everything.
 */
import { connect, type Socket } from 'node:net'
import { COMMAND, encodeFrame, MORE } from '../../plugins/zeromq/frame.ts'
import { encodeGreeting } from '../../plugins/zeromq/greeting.ts'
import { encodeCommand, encodeMetadata } from '../../plugins/zeromq/wire-command.ts'
import { rounds, shareOf } from './rounds.ts'

export interface ZeromqLoad {
  readonly port: number
  readonly senders: number
  readonly messages: number
  readonly devices: number
  readonly start: number
  readonly step: number
}

async function open(port: number): Promise<Socket> {
  const socket = connect({ port, host: '127.0.0.1' })
  await new Promise((resolve, reject) => socket.once('connect', resolve).once('error', reject))
  socket.setNoDelay(true)
  socket.write(encodeGreeting('NULL', false))
  socket.write(encodeFrame(COMMAND, encodeCommand('READY', encodeMetadata({ 'Socket-Type': 'PUSH' }))))
  await new Promise((resolve) => socket.once('data', resolve))
  socket.resume()
  return socket
}

async function flood(socket: Socket, load: ZeromqLoad, sender: number): Promise<number> {
  const total = Math.floor(load.messages / load.senders)
  let sent = 0
  for (const { bytes, count } of rounds({
    ...load,
    devices: shareOf(load.devices, load.senders, sender),
    encode: (device, payload) =>
      Buffer.concat([encodeFrame(MORE, Buffer.from(`telemetry/dvc${device}`)), encodeFrame(0, payload)]),
  })) {
    if (sent >= total) break
    if (!socket.write(bytes)) await new Promise((resolve) => socket.once('drain', resolve))
    sent += count
  }
  const closed = new Promise((resolve) => socket.once('close', resolve))
  socket.end()
  await closed
  return sent
}

async function main(): Promise<void> {
  const load = JSON.parse(process.argv[2] ?? '{}') as ZeromqLoad
  const sockets: Socket[] = []
  for (let i = 0; i < load.senders; i++) sockets.push(await open(load.port))
  const cpu = process.cpuUsage()
  const began = performance.now()
  const sent = await Promise.all(sockets.map((socket, i) => flood(socket, load, i)))
  const { user, system } = process.cpuUsage(cpu)
  process.stdout.write(
    `${JSON.stringify({
      sent: sent.reduce((sum, count) => sum + count, 0),
      seconds: (performance.now() - began) / 1000,
      cpu: (user + system) / 1e6,
    })}\n`,
  )
}

void main()
