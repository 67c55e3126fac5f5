/** Debian's Chromium, driven as a person would. */
import { existsSync } from 'node:fs'
import { type Browser, type BrowserContext, chromium, type Page } from 'playwright-core'

const PROGRAM = '/usr/bin/chromium'

/** For `{ skip }`. */
export const noBrowser = existsSync(PROGRAM) ? false : 'chromium is not installed'

export function openBrowser(): Promise<Browser> {
  const quiet = ['--disable-quic', '--no-first-run', '--disable-background-networking', '--disable-sync']
  return chromium.launch({
    executablePath: PROGRAM,
    args: ['--headless', '--no-sandbox', '--disable-gpu', '--disable-component-update', ...quiet],
  })
}

export interface Watched {
  readonly page: Page
  readonly context: BrowserContext
  /** What went wrong in the page: exceptions, refused content, requests that went elsewhere. */
  readonly troubles: string[]
}

export async function openPage(
  browser: Browser,
  url: string,
  options: { width?: number; dark?: boolean } = {},
): Promise<Watched> {
  const { width = 1280, dark = false } = options
  const context = await browser.newContext({ viewport: { width, height: 800 }, colorScheme: dark ? 'dark' : 'light' })
  const page = await context.newPage()
  page.setDefaultTimeout(8000)
  const troubles: string[] = []
  page.on('pageerror', (error) => troubles.push(error.message))
  page.on('console', (message) => {
    if (message.type() === 'error' && !/40[149]|429|ERR_/.test(message.text())) troubles.push(message.text())
  })
  page.on('dialog', (dialog) => {
    troubles.push(`dialog ${dialog.message()}`)
    void dialog.dismiss()
  })
  const { origin } = new URL(url)
  page.on('request', (request) => {
    if (!request.url().startsWith(origin) && !request.url().startsWith('data:')) troubles.push(`asked ${request.url()}`)
  })
  await page.goto(url)
  return { page, context, troubles }
}

/** Goes to another page without loading the application again, as a person does, and waits until it has drawn news. */
export async function go(page: Page, at: string): Promise<void> {
  await page.evaluate(`performance.clearMeasures(); location.hash = '#/${at}'`)
  await page.waitForFunction(() => performance.getEntriesByName('sluice:update').length > 1)
  await page.locator('h1').waitFor()
}
