/** One QoS 0 subscriber that counts: what stands behind mosquitto in the comparison. Prints the time when it has read all. */
import { connect } from 'node:net'
import { generate } from 'mqtt-packet'

const { port, messages } = JSON.parse(process.argv[2] ?? '{}') as { port: number; messages: number }

const socket = connect(port, '127.0.0.1', () => {
  socket.write(
    generate({
      cmd: 'connect',
      protocolId: 'MQTT',
      protocolVersion: 4,
      clean: true,
      clientId: 'counter',
      keepalive: 300,
    }),
  )
})
let state: 'connack' | 'suback' | 'reading' = 'connack'
let count = 0
let left = 0
let rest: Buffer = Buffer.alloc(0)
let began = 0

socket.on('data', (chunk) => {
  if (state === 'connack') {
    state = 'suback'
    socket.write(generate({ cmd: 'subscribe', messageId: 1, subscriptions: [{ topic: 'telemetry/#', qos: 0 }] }))
    return
  }
  if (state === 'suback') {
    state = 'reading'
    process.stdout.write('{"ready":true}\n')
    return
  }
  if (began === 0) began = performance.now()
  read(chunk)
  if (count >= messages) {
    process.stdout.write(`${JSON.stringify({ count, seconds: (performance.now() - began) / 1000, at: Date.now() })}\n`)
    process.exit(0)
  }
})

/** Counts packets by their fixed headers alone. */
function read(chunk: Buffer): void {
  let bytes = chunk
  let at = 0
  if (rest.length > 0) {
    bytes = Buffer.concat([rest, chunk])
    rest = Buffer.alloc(0)
  }
  if (left > 0) {
    at = Math.min(left, bytes.length)
    left -= at
    if (left === 0 && at > 0) count++
  }
  while (at < bytes.length) {
    let length = 0
    let shift = 0
    let i = at + 1
    for (; i < bytes.length; i++) {
      const digit = bytes[i] as number
      length |= (digit & 127) << shift
      shift += 7
      if (digit < 128) break
    }
    if (i >= bytes.length) {
      rest = Buffer.from(bytes.subarray(at))
      return
    }
    at = i + 1 + length
    if (at > bytes.length) {
      left = at - bytes.length
      return
    }
    count++
  }
}
