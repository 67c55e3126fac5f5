import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { existsSync } from 'node:fs'
import { after, before, describe, test } from 'node:test'
import { connectAsync, type MqttClient } from 'mqtt'
import type { Browser } from 'playwright-core'
import { createSite, type GatewayProcess, type Site } from '../support/gateway-process.ts'
import { type HttpUpstream, startHttpUpstream } from '../support/http-upstream.ts'
import { go, noBrowser, openBrowser, openPage } from './browser.ts'

const HOSTILE = `<img src=x onerror="alert('owned')">`
const config = {
  gateway: { id: 'site-7' },
  mqtt: { listen: '127.0.0.1:0', anonymous: true },
  http: { listen: '127.0.0.1:0' },
  windows: { 'per-device': { tumbling: '1s', by: ['device'], delay: '100ms' } },
  rules: { hot: { when: { field: 'temperature', above: 90 } } },
  outbox: { retry: { max: '500ms' } },
  devices: {
    'lamp-1': {
      name: 'Desk lamp',
      room: 'Office',
      commands: { power: { kind: 'switch', name: 'Power', args: { on: { type: 'boolean' } } } },
    },
  },
}

function pasted(command: string): Promise<void> {
  return new Promise((resolve, reject) =>
    execFile('/bin/sh', ['-c', command], (error) => (error ? reject(error) : resolve())),
  )
}

describe('the dashboard in a browser', { skip: noBrowser, timeout: 120_000 }, () => {
  let site: Site
  let gateway: GatewayProcess
  let device: MqttClient
  let browser: Browser
  let upstream: HttpUpstream
  let url: string
  const publish = (id: string, fields: object) =>
    device.publishAsync(`telemetry/${id}`, JSON.stringify(fields), { qos: 1 })

  before(async () => {
    upstream = await startHttpUpstream('site-7')
    site = createSite({ ...config, upstreams: { cloud: { http: { url: upstream.url }, batch: { age: '100ms' } } } })
    ;[gateway, browser] = await Promise.all([site.start(), openBrowser()])
    url = `http://127.0.0.1:${gateway.ports.http}/`
    device = await connectAsync({ host: '127.0.0.1', port: gateway.ports.mqtt ?? 0, protocolVersion: 4 })
  })

  after(async () => {
    await device?.endAsync()
    await browser?.close()
    await gateway?.kill()
    await upstream?.close()
    site?.remove()
  })

  test('a fresh gateway shows the three commands that send a first reading, with its own address', async () => {
    const { page, context, troubles } = await openPage(browser, url)
    await page.getByText('No reading has arrived yet').waitFor()
    const commands = await page.locator('.first code').allTextContents()
    assert.equal(commands.length, 3)
    assert.ok(commands[0]?.includes(`-p ${gateway.ports.mqtt}`), commands[0])
    assert.ok(commands[2]?.includes(`${url}api/telemetry/my-sensor`), commands[2])
    // Each, pasted as it stands, sends a reading.
    for (const command of commands) if (existsSync(`/usr/bin/${command.split(' ', 1)[0]}`)) await pasted(command)
    await page.getByRole('link', { name: 'my-sensor' }).first().waitFor()
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

  test('an uplink is cut, what waits is seen, and it comes back', async () => {
    const { page, context, troubles } = await openPage(browser, url)
    const uplink = page.locator('.tile', { hasText: 'Uplink' })
    await uplink.getByText('connected').waitFor()
    const { port } = upstream
    await upstream.close()
    await publish('boiler', { temperature: 60 })
    await uplink.getByText('cut').waitFor()
    await page
      .locator('nav')
      .getByRole('link', { name: /Outbox \d+/ })
      .waitFor()
    upstream = await startHttpUpstream('site-7', port)
    await uplink.getByText('connected').waitFor()
    await page.locator('.tile', { hasText: 'Waiting' }).getByText('0 records').waitFor()
    assert.deepEqual(troubles, [])
    await context.close()
  })

  test('an alert is raised, seen with a note, and over', async () => {
    const { page, context, troubles } = await openPage(browser, `${url}#/alerts`)
    await page.getByText('All quiet').waitFor()
    await publish('boiler', { temperature: 95 })
    await page.getByLabel(/^A note.*hot boiler/).fill('somebody cooks')
    await page.keyboard.press('Enter')
    await page.getByText('seen by api: somebody cooks').waitFor()
    await publish('boiler', { temperature: 60 })
    await page.getByText('All quiet').waitFor()
    const states = await page.locator('tbody td:nth-child(4)').allTextContents()
    assert.deepEqual(states.slice(0, 3), ['over', 'seen', 'raised'])
    assert.deepEqual(troubles, [])
    await context.close()
  })

  test('a device is described on its page', async () => {
    const { page, context, troubles } = await openPage(browser, `${url}#/devices/boiler`)
    await page.getByRole('button', { name: 'Describe…' }).click()
    await page.getByLabel('Name', { exact: true }).fill('Old boiler')
    await page.getByLabel('Unit of temperature').fill('°C')
    await page.getByRole('button', { name: '+ Switch' }).click()
    await page.getByRole('button', { name: 'Save' }).click()
    await page.getByRole('heading', { name: 'Old boiler' }).waitFor()
    await page.locator('.facts', { hasText: '°C' }).waitFor()
    await page.getByRole('switch').waitFor()
    assert.deepEqual(troubles, [])
    await context.close()
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
    await page.getByRole('heading', { name: /boiler/ }).waitFor()
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
})
