import { readFile } from 'node:fs/promises'
import { expect } from 'chai'
import { sql } from 'kysely'
import { startTestApi, type TestApi, type TestApiOptions } from './test-api.ts'

const WORLD = new URL('read-world.sql', import.meta.url)
/** Ids of an ordinary user and of a deactivated one. */
const [USER, INACTIVE] = [1204, 1205]

/** Starts the API with `world.sql` and `read-world.sql`, for tests that only read. */
export async function startReadApi(options?: TestApiOptions): Promise<TestApi> {
  const api = await startTestApi(options)
  try {
    await api.reset()
    await sql.raw(await readFile(WORLD, 'utf8')).execute(api.db)
    return api
  } catch (error) {
    await api[Symbol.asyncDispose]()
    throw error
  }
}

/** Expects that every active user may read a path, and that others get 401. */
export async function expectForUsersOnly(api: TestApi, path: string): Promise<void> {
  const { status, headers } = await api.send('GET', path, { as: USER })
  expect(status, path).to.equal(200)
  expect(headers, path).to.include({ 'cache-control': 'private, no-store' })
  expect(await api.send('HEAD', path, { as: USER }), path).to.include({ status: 200, body: '' })
  expect((await api.send('GET', path)).status, path).to.equal(401)
  expect((await api.send('GET', path, { as: INACTIVE })).status, path).to.equal(401)
  const [bare, query = ''] = path.split('?')
  expect((await api.send('GET', `${bare}/?${query}`, { as: USER })).status, path).to.equal(404)
  const patched = await api.send('PATCH', path, { as: USER, body: {} })
  expect(patched.status, path).to.equal(405)
}
