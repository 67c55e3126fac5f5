/**
 * A plugin in one file: polls holding registers of Modbus/TCP devices (function 3) and emits them as readings.
 * It imports nothing of Sluice: what it needs comes in `sluice` and `context`.
 */
import { connect } from 'node:net'

const READ_HOLDING_REGISTERS = 3

export default ({ z, NotConnectedError }) => ({
  name: 'modbus',
  summary: 'Polls holding registers of a Modbus/TCP device.',
  roles: ['source'],
  config: z.strictObject({
    host: z.string().describe('Host of the device.'),
    port: z.number().int().default(502).describe('TCP port.'),
    unit: z.number().int().min(0).max(255).default(1).describe('Unit identifier.'),
    device: z.string().describe('Device name in the readings.'),
    registers: z.record(z.string(), z.number().int().min(0).max(65535)).describe('Register address by field name.'),
    every: z.number().int().min(10).default(1000).describe('Pause between two polls, ms.'),
  }),
  create: (options, { clock, log }) => ({
    source: {
      async run(emit, signal) {
        const socket = await open(options, NotConnectedError)
        const stop = () => socket.destroy()
        signal.addEventListener('abort', stop)
        try {
          for (let poll = 0; !signal.aborted; poll++) {
            const fields = {}
            for (const [name, address] of Object.entries(options.registers)) {
              fields[name] = await readRegister(socket, options.unit, address, poll & 0xffff, NotConnectedError)
            }
            // Resolves when the reading is on disk; a slow disk slows the polling down.
            await emit({ topic: `telemetry/${options.device}`, payload: Buffer.from(JSON.stringify(fields)) })
            await clock.sleep(options.every, signal)
          }
        } catch (error) {
          if (signal.aborted) return
          log.debug({ host: options.host }, 'poll failed')
          throw error
        } finally {
          signal.removeEventListener('abort', stop)
          socket.destroy()
        }
      },
    },
  }),
})

function open({ host, port }, NotConnectedError) {
  return new Promise((resolve, reject) => {
    const socket = connect({ host, port }, () => resolve(socket))
    // Stays: an error while nobody is asking must not end the process. What it breaks shows at the next question.
    socket.on('error', (cause) =>
      reject(new NotConnectedError('MODBUS_UNREACHABLE', `no Modbus device at ${host}:${port}`, { cause })),
    )
  })
}

/** Modbus Application Protocol 1.1b3, 6.3: one register, big-endian. */
function readRegister(socket, unit, address, transaction, NotConnectedError) {
  const request = Buffer.alloc(12)
  request.writeUInt16BE(transaction, 0)
  request.writeUInt16BE(6, 4)
  request[6] = unit
  request[7] = READ_HOLDING_REGISTERS
  request.writeUInt16BE(address, 8)
  request.writeUInt16BE(1, 10)
  return new Promise((resolve, reject) => {
    let answer = Buffer.alloc(0)
    const done = (settle, value) => {
      socket.off('data', take)
      socket.off('close', lost)
      settle(value)
    }
    const lost = () => done(reject, new NotConnectedError('MODBUS_CLOSED', 'the Modbus device closed the connection'))
    const take = (chunk) => {
      answer = Buffer.concat([answer, chunk])
      if (answer.length < 9) return
      if (answer[7] !== READ_HOLDING_REGISTERS) {
        done(reject, new NotConnectedError('MODBUS_EXCEPTION', `the device answered with exception ${answer[8]}`))
      } else if (answer.length >= 11) done(resolve, answer.readUInt16BE(9))
    }
    socket.on('data', take)
    socket.once('close', lost)
    // It may have closed while nobody was asking.
    if (socket.destroyed) lost()
    else socket.write(request)
  })
}
