import { join } from 'node:path'
import { expect } from 'chai'
import { Client } from 'pg'
import type { Browser } from 'playwright-core'
import { findFreePort } from '../../scripts/servers/port.ts'
import { readState } from '../../scripts/servers/state.ts'
import { type Checkout, copyCheckout } from '../support/checkout.ts'
import { type NpmStart, npmStart } from '../support/npm-start.ts'
import { launchChromium } from './chromium.ts'

const WITHIN_MS = 30_000

describe('the first minute with npm start, in Chromium', function () {
  this.timeout(180_000)
  let checkout: Checkout
  let running: NpmStart
  let browser: Browser

  before(async () => {
    checkout = await copyCheckout()
    browser = await launchChromium()
  })
  after(async () => {
    await browser?.close()
    running?.interrupt()
    await running?.ended
    await checkout?.[Symbol.asyncDispose]()
  })

  it('leads from the printed address to an SQL statement, whose change the page shows with its keys', async () => {
    const steps: [string, number][] = []
    let sinceMs = performance.now()
    const endStep = (name: string) => {
      const nowMs = performance.now()
      steps.push([name, nowMs - sinceMs])
      sinceMs = nowMs
    }

    running = npmStart(checkout.dir, { PORT: `${await findFreePort()}` })
    await running.untilPrinted('Ctrl-C stops everything')
    endStep('npm start, without a built page and a database')
    // The first address of the output.
    const [, name, address = ''] = /^ {2}(\S+) +(http\S+)/m.exec(running.output()) ?? []
    expect(name).to.equal('Console')

    const page = await browser.newPage()
    page.setDefaultTimeout(WITHIN_MS)
    await page.goto(address)
    await page.getByText(/^All changes committed until/).waitFor()
    endStep('open the console')
    await page.getByRole('link', { name: 'Live', exact: true }).first().click()
    await page.getByText('Connected.').waitFor()
    const command = await page.getByLabel('Command that changes a row').innerText()
    endStep('open Live')

    const [, statement = ''] = /^npm run spms -- sql "(.+)"$/.exec(command) ?? []
    expect(statement, command).to.match(/^update /)
    const state = await readState(join(checkout.dir, '.spms'))
    const sql = new Client({ connectionString: state?.databaseUrl })
    await sql.connect()
    try {
      const { rowCount } = await sql.query(statement)
      expect(rowCount).to.equal(1)
      sinceMs = performance.now()
      const change = page.locator('.change', { hasText: 'users_publicstaffprofile' })
      await change.waitFor()
      endStep('from the commit to the change in the page')
      const { rows } = await sql.query<{ id: string }>(
        'select min(id)::text as id from users_publicstaffprofile',
      )
      expect(await change.innerText()).to.contain('expertise')
      expect(await change.locator('.chip').allInnerTexts()).to.include(
        `staff:profile:${rows[0]?.id}`,
      )
    } finally {
      await sql.end()
    }
    for (const [step, ms] of steps) {
      process.stdout.write(`      ${step}: ${Math.round(ms)} ms\n`)
    }
  })
})
