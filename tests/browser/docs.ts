import { expect } from 'chai'
import type { Browser } from 'playwright-core'
import { startSystem, type System } from '../support/system.ts'
import { launchChromium } from './chromium.ts'

const LOADED_WITHIN_MS = 5_000

describe('GET /api/v1/docs in Chromium', function () {
  this.timeout(120_000)
  let system: System
  let browser: Browser

  before(async () => {
    browser = await launchChromium()
    system = await startSystem()
  })
  after(async () => {
    await browser?.close()
    await system?.[Symbol.asyncDispose]()
  })

  it('shows every group of operations and runs one, without console errors', async () => {
    const page = await browser.newPage()
    const complaints: string[] = []
    page.on('console', (message) => {
      if (['error', 'warning'].includes(message.type())) complaints.push(message.text())
    })
    page.on('pageerror', (error) => complaints.push(error.message))
    page.on('requestfailed', (request) => complaints.push(`failed: ${request.url()}`))
    const startedAtMs = performance.now()
    await page.goto(`${system.apis[0]}/api/v1/docs`)
    await page.waitForSelector('.opblock-tag')
    const tookMs = performance.now() - startedAtMs
    process.stdout.write(`    shown after ${tookMs.toFixed(0)} ms\n`)
    const { text } = await system.get('openapi.json')
    const { paths } = JSON.parse(text) as OpenApi
    const tags = new Set(
      Object.values(paths).flatMap((methods) => Object.values(methods).flatMap(({ tags }) => tags)),
    )
    expect(await page.locator('.opblock-tag').count()).to.equal(tags.size)
    expect(tookMs).to.be.below(LOADED_WITHIN_MS)

    // Opens an operation and runs it.
    await page
      .locator('.opblock-tag', { hasText: /^users/ })
      .first()
      .click()
    await page.locator('.opblock-summary-path', { hasText: 'staffprofiles' }).first().click()
    await page.locator('.try-out__btn').first().click()
    await page.locator('.execute').first().click()
    await page.waitForSelector('.responses-table.live-responses-table .response-col_status')
    const status = await page
      .locator('.responses-table.live-responses-table .response-col_status')
      .nth(1)
      .innerText()
    expect(status.trim()).to.match(/^200/)
    expect(complaints).to.deep.equal([])
  })
})

interface OpenApi {
  readonly paths: Readonly<Record<string, Readonly<Record<string, { readonly tags: string[] }>>>>
}
