// `npm run pictures`: writes the pictures of the dashboard to docs/pictures, in light and dark. Needs `npm run build`
// and Debian's chromium.
import { spawn } from 'node:child_process'
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { connectAsync } from 'mqtt'
import { chromium } from 'playwright-core'

const SHOTS = [
  { page: 'overview', width: 1280, height: 800 },
  { page: 'devices', width: 1280, height: 800 },
  { page: 'devices/climate-1', name: 'device', width: 1280, height: 800 },
  { page: 'control', width: 1280, height: 800 },
  { page: 'overview', name: 'phone', width: 390, height: 844 },
]
/** Long enough for windows to close and lines to have a shape, ms. */
const GROW = 45_000

const level = { level: { type: 'number', min: 0, max: 100, unit: '%' } }
const move = { to: { type: 'text', oneOf: ['open', 'stop', 'close'] } }
const lamp = { power: { kind: 'switch', name: 'Light', args: { on: { type: 'boolean' } } } }
const config = {
  gateway: { id: 'harbour-house' },
  mqtt: { listen: '127.0.0.1:0', anonymous: true },
  http: { listen: '127.0.0.1:0' },
  windows: { 'per-device': { tumbling: '5s', by: ['device'], delay: '500ms' } },
  upstreams: { cloud: { mqtt: { url: 'mqtt://127.0.0.1:9' } } },
  devices: {
    'climate-1': { name: 'Study climate', room: 'Study', units: { temperature: '°C', humidity: '%' } },
    'lamp-1': {
      name: 'Desk lamp',
      room: 'Study',
      commands: { ...lamp, dim: { kind: 'slider', name: 'Brightness', args: level } },
    },
    'shutter-1': {
      name: 'Window shutter',
      room: 'Study',
      commands: { move: { kind: 'shutter', name: 'Shutter', args: move } },
    },
    'lamp-2': { name: 'Ceiling lamp', room: 'Kitchen', commands: lamp },
    'bell-1': { name: 'Door bell', room: 'Kitchen', commands: { ring: { kind: 'button', name: 'Ring', args: {} } } },
  },
}

const folder = await mkdtemp(join(tmpdir(), 'sluice-pictures-'))
const file = join(folder, 'sluice.yaml')
await writeFile(file, JSON.stringify(config))
const gateway = spawn(process.execPath, ['dist/sluice.cjs', 'run', '--config', file, '--data', join(folder, 'data')], {
  stdio: ['ignore', 'pipe', 'inherit'],
})
try {
  const ports = await readyPorts(gateway)
  const device = await connectAsync({ host: '127.0.0.1', port: ports.mqtt, protocolVersion: 4 })
  const actuators = await Promise.all(Object.keys(config.devices).map((id) => answering(id, ports.mqtt)))
  const timer = setInterval(() => publishAll(device), 500)
  await takePictures(`http://127.0.0.1:${ports.http}/`)
  clearInterval(timer)
  await Promise.all([device, ...actuators].map((client) => client.endAsync(true)))
} finally {
  gateway.kill()
  await new Promise((resolve) => gateway.once('exit', resolve))
  await rm(folder, { recursive: true, force: true })
}

function readyPorts(child) {
  return new Promise((resolve, reject) => {
    let text = ''
    child.stdout.on('data', (chunk) => {
      text += chunk
      const line = text.split('\n').find((one) => one.includes('"ready"') && one.endsWith('}'))
      if (line) resolve(JSON.parse(line).ports)
    })
    child.once('exit', (code) => reject(new Error(`the gateway ended with ${code}`)))
  })
}

async function answering(id, port) {
  const client = await connectAsync({ host: '127.0.0.1', port, clientId: id, protocolVersion: 4 })
  client.on('message', (topic, payload) => {
    client.publish(`${topic}/ack`, JSON.stringify({ id: JSON.parse(payload).id, ok: true }), { qos: 1 })
  })
  await client.subscribeAsync(`command/${id}/+`, { qos: 1 })
  return client
}

function publishAll(client) {
  const s = Date.now() / 1000
  const send = (id, fields) => client.publish(`telemetry/${id}`, JSON.stringify(fields), { qos: 1 })
  for (let i = 1; i <= 9; i++)
    send(`climate-${i}`, {
      temperature: Number((20 + 2.5 * Math.sin(s / (7 + i) + i) + 0.2 * Math.sin(s * 2 + i)).toFixed(2)),
      humidity: Number((46 + 6 * Math.sin(s / 11 + i * 2)).toFixed(1)),
    })
  for (let i = 1; i <= 4; i++) send(`meter-${i}`, { power: Math.round(420 + 300 * Math.sin(s / 9 + i)), state: 'ok' })
  if (Math.random() < 0.03) client.publish('telemetry/meter-5', '{"power": 12,', { qos: 1 })
}

async function takePictures(url) {
  await mkdir('docs/pictures', { recursive: true })
  const args = ['--headless', '--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run']
  const browser = await chromium.launch({ executablePath: '/usr/bin/chromium', args })
  const page = await browser.newPage()
  await page.goto(url)
  await page.locator('.connection.live').waitFor()
  await page.waitForTimeout(GROW)
  await page.evaluate("location.hash = '#/control'")
  for (const name of ['Light', 'open', 'Ring']) {
    await page
      .getByRole(name === 'Light' ? 'switch' : 'button', { name })
      .first()
      .click()
  }
  await page.waitForTimeout(2000)
  for (const colorScheme of ['light', 'dark']) {
    await page.emulateMedia({ colorScheme })
    for (const { page: at, name = at, width, height } of SHOTS) {
      await page.setViewportSize({ width, height })
      await page.evaluate(`location.hash = '#/${at}'; scrollTo(0, 0)`)
      await page.waitForTimeout(1500)
      await page.screenshot({ path: `docs/pictures/${name}-${colorScheme}.png` })
    }
  }
  await browser.close()
}
