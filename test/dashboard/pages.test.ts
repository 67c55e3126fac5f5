import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { after, before, describe, test } from 'node:test'
import { connectAsync, type MqttClient } from 'mqtt'
import type { Browser, Page } from 'playwright-core'
import { createSite, type GatewayProcess, type Site } from '../support/gateway-process.ts'
import { noBrowser, openBrowser, openPage } from './browser.ts'

const PAGES = ['overview', 'devices', 'devices/lamp-1', 'control', 'windows', 'alerts', 'outbox', 'quality', 'settings']
const HOSTILE = `<img src=x onerror="alert('owned')">`
const axe = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8')

const config = {
  gateway: { id: 'site-7' },
  mqtt: { listen: '127.0.0.1:0', anonymous: true },
  http: { listen: '127.0.0.1:0' },
  windows: { 'per-device': { tumbling: '1s', by: ['device'], delay: '100ms' } },
  upstreams: { cloud: { http: { url: 'http://127.0.0.1:9/' } } },
  devices: {
    'lamp-1': {
      name: 'Desk lamp',
      room: 'Office',
      commands: { power: { kind: 'switch', name: 'Power', args: { on: { type: 'boolean' } } } },
    },
  },
}

/** Without loading the application again, as a person does. */
async function go(page: Page, at: string): Promise<void> {
  await page.evaluate(`performance.clearMeasures(); location.hash = '#/${at}'`)
  await page.waitForFunction(() => performance.getEntriesByName('sluice:update').length > 1)
  await page.locator('h1').waitFor()
}

describe('the dashboard in a browser', { skip: noBrowser, timeout: 55_000 }, () => {
  let site: Site
  let gateway: GatewayProcess
  let device: MqttClient
  let browser: Browser
  let url: string
  const publish = (id: string, fields: object) =>
    device.publishAsync(`telemetry/${id}`, JSON.stringify(fields), { qos: 1 })

  before(async () => {
    site = createSite(config)
    ;[gateway, browser] = await Promise.all([site.start(), openBrowser()])
    url = `http://127.0.0.1:${gateway.ports.http}/`
    device = await connectAsync({ host: '127.0.0.1', port: gateway.ports.mqtt ?? 0, protocolVersion: 4 })
  })

  after(async () => {
    await device?.endAsync()
    await browser?.close()
    await gateway?.kill()
    site?.remove()
  })

  test('a fresh gateway shows the three commands that send a first reading, with its own address', async () => {
    const { page, context, troubles } = await openPage(browser, url)
    await page.getByText('No reading has arrived yet').waitFor()
    const commands = await page.locator('.first code').allTextContents()
    assert.equal(commands.length, 3)
    assert.ok(commands[0]?.includes(`-p ${gateway.ports.mqtt}`), commands[0])
    assert.ok(commands[1]?.includes(`${url}api/telemetry/my-sensor`), commands[1])
    assert.deepEqual(troubles, [])
    await context.close()
  })

  test('a reading shows up in under a second', async () => {
    const { page, context, troubles } = await openPage(browser, `${url}#/devices`)
    await page.locator('.connection.live').waitFor()
    const began = performance.now()
    await publish('boiler', { temperature: 61.25 })
    await page.getByText('61.25').waitFor()
    const took = performance.now() - began
    assert.ok(took < 1000, `${took.toFixed(0)} ms`)
    assert.deepEqual(troubles, [])
    await context.close()
  })

  test('a lamp is switched and its answer seen', async () => {
    const lamp = await connectAsync({ host: '127.0.0.1', port: gateway.ports.mqtt ?? 0, clientId: 'lamp-1' })
    await lamp.subscribeAsync('command/lamp-1/+', { qos: 1 })
    const orders: { id: string; args: unknown }[] = []
    lamp.on('message', (topic, payload) => {
      const order = JSON.parse(payload.toString()) as { id: string; args: unknown }
      orders.push(order)
      lamp.publish(`${topic}/ack`, JSON.stringify({ id: order.id, ok: true }), { qos: 1 })
    })
    const { page, context, troubles } = await openPage(browser, `${url}#/control`)
    await page.getByRole('heading', { name: 'Office' }).waitFor()
    const power = page.getByRole('switch', { name: 'Power' })
    assert.equal(await power.getAttribute('aria-checked'), 'false')
    await power.click()
    await page.locator('.outcome', { hasText: 'done' }).waitFor()
    assert.equal(await power.getAttribute('aria-checked'), 'true')
    assert.deepEqual(orders[0]?.args, { on: true })
    assert.deepEqual(troubles, [])
    await context.close()
    await lamp.endAsync()
  })

  test('a hostile device name harms nobody', async () => {
    await publish(HOSTILE, { '<script>alert(1)</script>': 1, text: HOSTILE })
    const { page, context, troubles } = await openPage(browser, `${url}#/devices`)
    await page.getByRole('link', { name: HOSTILE }).click()
    await page.getByRole('heading', { name: HOSTILE }).waitFor()
    for (const at of ['overview', 'windows', 'quality', 'control']) {
      await go(page, at)
      assert.equal(await page.locator('img, iframe, #app script').count(), 0, at)
    }
    assert.deepEqual(troubles, [])
    await context.close()
  })

  test('a reload in the middle, and a gateway that goes away and comes back', async () => {
    const { page, context } = await openPage(browser, `${url}#/devices/boiler`)
    await page.getByRole('heading', { name: 'boiler' }).waitFor()
    await page.reload()
    await page.locator('.facts', { hasText: 'temperature' }).waitFor()
    const { http = 0, mqtt = 0 } = gateway.ports
    await device.endAsync()
    await gateway.kill()
    await page.locator('.connection.stale').waitFor()
    site.configure({
      ...config,
      http: { listen: `127.0.0.1:${http}` },
      mqtt: { ...config.mqtt, listen: `127.0.0.1:${mqtt}` },
    })
    gateway = await site.start()
    await page.locator('.connection.live').waitFor({ timeout: 12_000 })
    device = await connectAsync({ host: '127.0.0.1', port: mqtt, protocolVersion: 4 })
    await publish('boiler', { temperature: 47.5 })
    await page.locator('.facts', { hasText: '47.5' }).waitFor()
    await context.close()
  })

  test('axe finds nothing serious on any page, light or dark', async () => {
    await device.publishAsync('telemetry/boiler', 'no JSON', { qos: 1 })
    for (const dark of [false, true]) {
      const { page, context, troubles } = await openPage(browser, url, { dark })
      // An evaluation is not bound by the page's policy, a script element would be.
      await page.evaluate(axe)
      for (const at of PAGES) {
        await go(page, at)
        const found = (await page.evaluate(`axe.run(document, { resultTypes: ['violations'] })`)) as {
          violations: { id: string; impact: string; nodes: { html: string }[] }[]
        }
        const serious = found.violations.filter(({ impact }) => impact === 'serious' || impact === 'critical')
        const seen = serious.map(({ id, nodes }) => `${id} ${nodes.map(({ html }) => html).join(' ')}`)
        assert.deepEqual(seen, [], `${at} ${dark ? 'dark' : 'light'}`)
      }
      assert.deepEqual(troubles, [])
      await context.close()
    }
  })

  test('nothing scrolls sideways at 360 px', async () => {
    const { page, context } = await openPage(browser, url, { width: 360 })
    for (const at of PAGES) {
      await go(page, at)
      const wide = await page.evaluate('document.documentElement.scrollWidth - document.documentElement.clientWidth')
      assert.ok(Number(wide) <= 0, `${at}: ${wide} px`)
    }
    await context.close()
  })

  test('an update with 5,000 devices is drawn in under 20 ms', async () => {
    const all = Array.from({ length: 5000 }, (_, i) => publish(`many-${i}`, { level: i, state: 'ok' }))
    await Promise.all(all)
    const { page, context } = await openPage(browser, `${url}#/devices`)
    await page
      .getByText(/5,00\d devices/)
      .first()
      .waitFor()
    const rows = await page.locator('.rows .device').count()
    assert.ok(rows < 60, `${rows} rows`)
    await page.evaluate(() => performance.clearMeasures())
    for (let i = 0; i < 300; i++) await publish(`many-${i}`, { level: -i, state: 'ok' })
    await page.waitForFunction(() => performance.getEntriesByName('sluice:update').length > 5)
    const took = await page.evaluate(() => performance.getEntriesByName('sluice:update').map((entry) => entry.duration))
    took.sort((a, b) => a - b)
    const median = took[Math.floor(took.length / 2)] ?? 0
    assert.ok(median < 20, `${median.toFixed(1)} ms`)
    await context.close()
  })
})
