/** What holds of every page: readable by everyone, at any width, and quick with many devices. */
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { after, before, describe, test } from 'node:test'
import { connectAsync, type MqttClient } from 'mqtt'
import type { Browser } from 'playwright-core'
import { createSite, type GatewayProcess, type Site } from '../support/gateway-process.ts'
import { go, noBrowser, openBrowser, openPage } from './browser.ts'

const PAGES = ['overview', 'devices', 'devices/lamp-1', 'control', 'windows', 'alerts', 'outbox', 'quality', 'settings']
const axe = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8')

const config = {
  mqtt: { listen: '127.0.0.1:0', anonymous: true },
  http: { listen: '127.0.0.1:0' },
  windows: { 'per-device': { tumbling: '1s', by: ['device'], delay: '100ms' } },
  rules: { dark: { when: { field: 'level', below: 0 } } },
  upstreams: { cloud: { http: { url: 'http://127.0.0.1:9/' } } },
  devices: {
    'lamp-1': {
      name: 'Desk lamp',
      room: 'Office',
      units: { level: '%' },
      commands: {
        power: { kind: 'switch', name: 'Power', args: { on: { type: 'boolean' } } },
        dim: { kind: 'slider', args: { level: { type: 'number', min: 0, max: 100, unit: '%' } } },
        move: { kind: 'shutter', args: { to: { type: 'text', oneOf: ['open', 'stop', 'close'] } } },
      },
    },
  },
}

describe('every page', { skip: noBrowser, timeout: 120_000 }, () => {
  let site: Site
  let gateway: GatewayProcess
  let device: MqttClient
  let browser: Browser
  let url: string
  const publish = (id: string, payload: object | string) =>
    device.publishAsync(`telemetry/${id}`, typeof payload === 'string' ? payload : JSON.stringify(payload), { qos: 1 })

  before(async () => {
    site = createSite(config)
    ;[gateway, browser] = await Promise.all([site.start(), openBrowser()])
    url = `http://127.0.0.1:${gateway.ports.http}/`
    device = await connectAsync({ host: '127.0.0.1', port: gateway.ports.mqtt ?? 0, protocolVersion: 4 })
    for (const level of [40, 50, -1]) await publish('lamp-1', { level, state: 'ok' })
    await publish('lamp-2', 'no JSON')
  })

  after(async () => {
    await device?.endAsync()
    await browser?.close()
    await gateway?.kill()
    site?.remove()
  })

  /** Light on a desk, dark on a phone: contrast does not depend on the width, nor the width on the colours. */
  for (const [dark, width] of [
    [false, 1280],
    [true, 360],
  ] as const)
    test(`has nothing serious for axe and nothing beyond its edge, ${dark ? 'dark' : 'light'} at ${width} px`, async () => {
      const { page, context, troubles } = await openPage(browser, url, { dark, width })
      // An evaluation is not bound by the page's policy, a script element would be.
      await page.evaluate(axe)
      for (const at of PAGES) {
        await go(page, at)
        const found = (await page.evaluate(`axe.run(document, { resultTypes: ['violations'] })`)) as {
          violations: { id: string; impact: string; nodes: { html: string }[] }[]
        }
        const serious = found.violations.filter(({ impact }) => impact === 'serious' || impact === 'critical')
        const seen = serious.map(({ id, nodes }) => `${id} ${nodes.map(({ html }) => html).join(' ')}`)
        assert.deepEqual(seen, [], at)
        const wide = await page.evaluate('document.documentElement.scrollWidth - document.documentElement.clientWidth')
        assert.ok(Number(wide) <= 0, `${at}: ${wide} px`)
        const { x, width: long } = (await page.locator('nav [aria-current]').boundingBox()) ?? { x: -1, width: 0 }
        assert.ok(x >= 0 && x + long <= width, `${at}: its link begins at ${x} px`)
      }
      assert.deepEqual(troubles, [])
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
