/**
 * `npm run bench:dashboard`: what the dashboard costs, in Debian's Chromium. First paint on a fresh gateway; then the
 * list of 5,000 devices while they send 10,000 readings a second: time to draw an update, frames, and what the open page
 * costs the gateway. Browser, gateway and load share this machine: the figures are upper bounds.
 */
import { spawnSync } from 'node:child_process'
import { createRequire } from 'node:module'
import type { Browser, Page } from 'playwright-core'
import { noBrowser, openBrowser } from '../test/dashboard/browser.ts'
import { bundle, cpuSeconds, type Running, runJson, startSluice, temporaryFolder } from './process.ts'

const DEVICES = 5000
/** Readings per second. */
const RATE = 10_000
/** s; a gateway that has just started compiles its code first. */
const WARM_UP = 15
const SETTLE = 4
const MEASURE = 8
const TURNS = 2

const config = {
  mqtt: { listen: '127.0.0.1:0', anonymous: true },
  http: { listen: '127.0.0.1:0' },
  decode: [{ topic: 'telemetry/{device}', time: 'event_time' }],
}

const seconds = (n: number) => new Promise((resolve) => setTimeout(resolve, n * 1000))

function quantile(values: readonly number[], q: number): number {
  const sorted = [...values].sort((a, b) => a - b)
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * q))] ?? Number.NaN
}

function mean(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length
}

/** Marks when the application has drawn its first page. */
const WATCH_HEADING = `new MutationObserver((_, observer) => {
  if (!document.querySelector('h1')) return
  performance.mark('heading')
  observer.disconnect()
}).observe(document, { childList: true, subtree: true })`

/** Of an address never opened before, ms: the first paint, and the first page of the application. */
async function firstPaint(browser: Browser, url: string): Promise<{ paint: number; heading: number }> {
  const context = await browser.newContext({ viewport: { width: 1280, height: 800 } })
  const page = await context.newPage()
  await page.addInitScript(WATCH_HEADING)
  await page.goto(url)
  await page.locator('h1').waitFor()
  const at = (name: string) =>
    page.evaluate((wanted) => performance.getEntriesByName(wanted)[0]?.startTime ?? Number.NaN, name)
  const found = { paint: await at('first-contentful-paint'), heading: await at('heading') }
  await context.close()
  return found
}

interface Drawn {
  /** Of each update, ms. */
  readonly updates: number[]
  /** Between two frames, ms. */
  readonly frames: number[]
}

/** Watches the page draw for a while. */
function watch(page: Page, ms: number): Promise<Drawn> {
  return page.evaluate(`(async () => {
    performance.clearMeasures()
    const frames = []
    const began = performance.now()
    for (let last = began; last - began < ${ms}; ) {
      const now = await new Promise((resolve) => requestAnimationFrame(resolve))
      frames.push(now - last)
      last = now
    }
    return { frames, updates: performance.getEntriesByName('sluice:update').map((entry) => entry.duration) }
  })()`)
}

/** Share of one core that the gateway uses. */
async function share<T>(gateway: Running, during: () => Promise<T>): Promise<[number, T]> {
  const pid = gateway.process.pid as number
  const [cpu, began] = [cpuSeconds(pid), performance.now()]
  const result = await during()
  return [(cpuSeconds(pid) - cpu) / ((performance.now() - began) / 1000), result]
}

async function openDevices(browser: Browser, url: string): Promise<Page> {
  const page = await browser.newPage({ viewport: { width: 1280, height: 800 } })
  await page.goto(`${url}#/devices`)
  await page.getByText('5,000 devices').first().waitFor()
  await seconds(SETTLE)
  return page
}

/** With and without the page in turn: what else runs on this machine meets both. */
async function underLoad(browser: Browser, gateway: Running, url: string): Promise<string[]> {
  const folder = temporaryFolder()
  const messages = RATE * (WARM_UP + TURNS * (2 * MEASURE + 2 * SETTLE) + 5)
  const sending = runJson(bundle('load.ts', folder.path), {
    ...{ port: gateway.ports.mqtt, connections: 50, pipeline: 100, qos: 0, devices: DEVICES },
    ...{ messages, rate: RATE, start: Date.now(), step: (1000 * DEVICES) / RATE },
  })
  await seconds(WARM_UP)
  const drawn: Drawn = { updates: [], frames: [] }
  const [without, open]: [number[], number[]] = [[], []]
  for (let turn = 0; turn < TURNS; turn++) {
    await seconds(SETTLE)
    without.push((await share(gateway, () => seconds(MEASURE)))[0])
    const page = await openDevices(browser, url)
    const [used, { updates, frames }] = await share(gateway, () => watch(page, MEASURE * 1000))
    open.push(used)
    drawn.updates.push(...updates)
    drawn.frames.push(...frames)
    await page.close()
  }
  await sending
  folder.remove()
  return report(drawn, mean(without), mean(open))
}

function report({ updates, frames }: Drawn, without: number, open: number): string[] {
  const percent = (share: number) => `${(100 * share).toFixed(1)} %`
  return [
    `an update drawn, 5,000 devices   ${quantile(updates, 0.5).toFixed(1)} ms median, ${quantile(updates, 0.95).toFixed(1)} ms p95   (target 20 ms)`,
    `frames                           ${(1000 / mean(frames)).toFixed(0)} per second, p99 ${quantile(frames, 0.99).toFixed(0)} ms apart   (target 60 per second)`,
    `gateway, of a core               ${percent(without)} alone, ${percent(open)} with the page open: ${percent(open - without)} for the page   (target 5 %)`,
  ]
}

async function main(): Promise<void> {
  if (noBrowser) throw new Error(noBrowser)
  const built = spawnSync(process.execPath, ['build.mjs'], { encoding: 'utf8' })
  const gateway = await startSluice(config)
  const browser = await openBrowser()
  try {
    const url = `http://127.0.0.1:${gateway.ports.http}/`
    const starts: { paint: number; heading: number }[] = []
    for (let i = 0; i < 7; i++) starts.push(await firstPaint(browser, url))
    const middle = (pick: 'paint' | 'heading') =>
      quantile(
        starts.map((start) => start[pick]),
        0.5,
      ).toFixed(0)
    const { version } = createRequire(import.meta.url)('playwright-core/package.json') as { version: string }
    const lines = [
      `${/dashboard .*compressed/.exec(built.stdout)?.[0] ?? ''}   (target 120 kB)`,
      `first paint                      ${middle('paint')} ms, the overview ${middle('heading')} ms, medians of ${starts.length}   (target 300 ms)`,
      ...(await underLoad(browser, gateway, url)),
      `chromium ${browser.version()}, playwright ${version}`,
    ]
    process.stdout.write(`${lines.join('\n')}\n`)
  } finally {
    await browser.close()
    await gateway.stop()
  }
}

await main()
