import assert from 'node:assert/strict'
import { writeFileSync } from 'node:fs'
import { type AddressInfo, createServer, type Server, type Socket } from 'node:net'
import { join, resolve } from 'node:path'
import { test } from 'node:test'
import { createSite, runCommand } from '../../support/gateway-process.ts'

/** Answers every read of a holding register with the register's own address plus one. */
async function startModbusDevice(): Promise<{ server: Server; port: number; sockets: Set<Socket> }> {
  const sockets = new Set<Socket>()
  const server = createServer((socket) => {
    sockets.add(socket)
    socket.on('error', () => undefined)
    socket.on('data', (request) => {
      const answer = Buffer.alloc(11)
      request.copy(answer, 0, 0, 4)
      answer.writeUInt16BE(5, 4)
      answer[6] = request[6] as number
      answer[7] = 3
      answer[8] = 2
      answer.writeUInt16BE(request.readUInt16BE(8) + 1, 9)
      socket.write(answer)
    })
  })
  await new Promise<void>((listening) => server.listen(0, '127.0.0.1', listening))
  return { server, port: (server.address() as AddressInfo).port, sockets }
}

interface DeviceAnswer {
  readonly readings: number
  readonly source: string
  readonly fields: Readonly<Record<string, number>>
}

async function deviceWith(port: number, device: string, readings: number): Promise<DeviceAnswer> {
  const deadline = performance.now() + 20_000
  while (performance.now() < deadline) {
    const response = await fetch(`http://127.0.0.1:${port}/api/devices/${device}`)
    const answer = response.ok ? ((await response.json()) as DeviceAnswer) : undefined
    if (answer && answer.readings >= readings) return answer
    await new Promise((again) => setImmediate(again))
  }
  throw new Error(`${device} did not send ${readings} readings within 20 s`)
}

function config(plugin: string, options: object): object {
  return {
    mqtt: { listen: '127.0.0.1:0' },
    http: { listen: '127.0.0.1:0' },
    plugins: [plugin],
    sources: { plc: { modbus: options } },
    log: { level: 'error' },
  }
}

test('a plugin in a file of a person’s own polls a device, and polls again after the device was away', {
  timeout: 60_000,
}, async () => {
  const device = await startModbusDevice()
  const options = {
    host: '127.0.0.1',
    port: device.port,
    device: 'plc-1',
    every: 20,
    registers: { level: 41, flow: 99 },
  }
  const site = createSite(config(resolve('examples/plugins/modbus-poller.js'), options))
  const gateway = await site.start()
  try {
    const port = gateway.ports.http as number
    const first = await deviceWith(port, 'plc-1', 3)
    assert.deepEqual([first.source, first.fields], ['plc', { level: 42, flow: 100 }])
    for (const socket of device.sockets) socket.destroy()
    await deviceWith(port, 'plc-1', first.readings + 20)
  } finally {
    assert.equal(await gateway.kill(), 0)
    device.server.close()
    for (const socket of device.sockets) socket.destroy()
    site.remove()
  }
})

test('a file that is no plugin is a mistake in the config, at its line', async () => {
  const site = createSite({})
  try {
    const yaml = join(site.folder, 'bad.yaml')
    writeFileSync(join(site.folder, 'bad.js'), 'module.exports = 5\n')
    writeFileSync(yaml, 'plugins:\n  - ./bad.js\n  - ./absent.js\n')
    const { code, err, out } = await runCommand(['check', '--config', yaml])
    assert.equal(code, 78)
    assert.match(`${out}${err}`, /bad\.yaml:2:5: plugin \.\/bad\.js: it exports no function/)
    assert.match(`${out}${err}`, /bad\.yaml:3:5: plugin \.\/absent\.js/)
  } finally {
    site.remove()
  }
})
