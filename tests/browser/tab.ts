import type { BrowserContext, Page, Response } from 'playwright-core'
import { shapeOf } from './shape-of.ts'

const API = '/api/v1/'
/** How long a step may take. */
const WITHIN_MS = 20_000
const NO_CONTENT = 204
const FIRST_ERROR = 400

/** A request of the page, with its answer. */
interface Call {
  /** Method and path below `/api/v1`, without the query. */
  readonly request: string
  readonly query: URLSearchParams
  readonly status: number
  /** The first parameter of `Cache-Status`: `hit`, `fwd=miss`, ... */
  readonly cache: string | undefined
}

/** A tab of the browser that checks every answer that its page receives. */
export interface Tab {
  readonly page: Page
  /** Loads a path, and returns the requests of the page until everything is shown. */
  load(path: string): Promise<readonly Call[]>
  /** Clicks a button, and returns the requests of the page until everything is shown. */
  click(name: string): Promise<readonly Call[]>
  /** Returns the path of the view that is shown. */
  shown(): Promise<string | null>
  /** Returns the text of a field of the view. */
  field(name: string): Promise<string>
  /** Returns the texts of the items of a list of the view. */
  list(name: string): Promise<readonly string[]>
  /** Returns the answers that are errors or have a wrong shape, and the errors that the page shows, since the last call. */
  takeComplaints(): readonly string[]
}

/** Opens a tab at the page of this origin. */
export async function openTab(context: BrowserContext, origin: string): Promise<Tab> {
  const page = await context.newPage()
  page.setDefaultTimeout(WITHIN_MS)
  const calls: Promise<Call | null>[] = []
  const complaints: string[] = []
  page.on('response', (response) => {
    const checked = check(response, complaints).catch((error: unknown) => {
      complaints.push(`${response.url()}: ${String(error)}`)
      return null
    })
    calls.push(checked)
  })
  page.on('pageerror', (error) => complaints.push(error.message))
  page.on('requestfailed', (request) => complaints.push(`failed: ${request.url()}`))

  /** Waits until the page shows everything, and returns its requests since the last call. */
  async function settle(): Promise<readonly Call[]> {
    await page.waitForSelector('body[data-shown]')
    const sent = await Promise.all(calls.splice(0))
    complaints.push(...(await page.getByRole('alert').allInnerTexts()))
    return sent.filter((call) => call !== null)
  }

  return {
    page,
    async load(path) {
      await page.goto(origin + path)
      return settle()
    },
    async click(name) {
      // A real click waits for frames, and a tab in the background draws one a second.
      await page.getByRole('button', { name, exact: true }).dispatchEvent('click')
      return settle()
    },
    shown: () => page.getAttribute('body', 'data-shown'),
    field: (name) => page.locator(`[data-field="${name}"]`).innerText(),
    list: (name) => page.locator(`[data-list="${name}"] > li`).allInnerTexts(),
    takeComplaints: () => complaints.splice(0),
  }
}

/** Checks an answer. Returns its call, or null for a path outside the API. */
async function check(response: Response, complaints: string[]): Promise<Call | null> {
  const method = response.request().method()
  const { pathname, searchParams: query } = new URL(response.url())
  const status = response.status()
  if (status >= FIRST_ERROR) complaints.push(`${method} ${pathname}: ${status}`)
  if (!pathname.startsWith(API)) return null
  const path = pathname.slice(API.length)
  if (status < FIRST_ERROR && status !== NO_CONTENT) {
    const { error } = shapeOf(method, path).safeParse(await response.json())
    if (error) complaints.push(`${method} ${pathname}: ${error.message}`)
  }
  const cache = response.headers()['cache-status']?.split('; ')[1]
  return { request: `${method} ${path}`, query, status, cache }
}
