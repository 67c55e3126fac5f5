// `npm run pictures`: writes a picture of every page of the dashboard, as `sluice demo` fills it, to docs/pictures, in
// light and dark. Needs `npm run build`, and Debian's chromium, fonts-inter and pngquant.
import { execFileSync, spawn } from 'node:child_process'
import { mkdir, readdir, rm } from 'node:fs/promises'
import { chromium } from 'playwright-core'

const FOLDER = 'docs/pictures'
const PAGES = ['overview', 'devices', 'control', 'windows', 'alerts', 'outbox', 'quality', 'settings']
const SHOTS = [
  ...PAGES.map((page) => ({ page, width: 1280, height: 800 })),
  { page: 'devices/climate-bath', name: 'device', width: 1280, height: 800 },
  { page: 'overview', name: 'phone', width: 390, height: 844 },
]
/** Long enough for lines to have a shape; an alert is raised then, and the uplink is cut. ms. */
const GROW = 114_000
const SETTLE = 1500
/** Charts are drawn anew in other colours. */
const REPAINT = 500

const demo = spawn(process.execPath, ['dist/sluice.cjs', 'demo'], { stdio: ['ignore', 'pipe', 'inherit'] })
try {
  await takePictures(await address(demo))
} finally {
  demo.kill()
  await new Promise((resolve) => demo.once('exit', resolve))
}
const pictures = (await readdir(FOLDER)).filter((name) => name.endsWith('.png')).map((name) => `${FOLDER}/${name}`)
execFileSync('pngquant', ['--ext', '.png', '--force', '--strip', '64', ...pictures])

function address(child) {
  return new Promise((resolve, reject) => {
    let text = ''
    child.stdout.on('data', (chunk) => {
      text += chunk
      const [url] = /http:\/\/127\.0\.0\.1:\d+\//.exec(text) ?? []
      if (url) resolve(url)
    })
    child.once('exit', (code) => reject(new Error(`the demo ended with ${code}`)))
  })
}

async function takePictures(url) {
  await rm(FOLDER, { recursive: true, force: true })
  await mkdir(FOLDER, { recursive: true })
  const args = ['--headless', '--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run']
  const browser = await chromium.launch({ executablePath: '/usr/bin/chromium', args })
  const page = await browser.newPage()
  await page.goto(url)
  await page.locator('.connection.live').waitFor()
  await page.waitForTimeout(GROW)
  for (const { page: at, name = at, width, height } of SHOTS) {
    await page.setViewportSize({ width, height })
    await page.evaluate(`location.hash = '#/${at}'; scrollTo(0, 0)`)
    await page.waitForTimeout(SETTLE)
    for (const colorScheme of ['light', 'dark']) {
      await page.emulateMedia({ colorScheme })
      await page.waitForTimeout(REPAINT)
      await page.screenshot({ path: `${FOLDER}/${name}-${colorScheme}.png` })
    }
  }
  await browser.close()
}
