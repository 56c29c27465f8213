import { expect } from 'chai'
import type { TestApi } from './test-api.ts'

type Write = readonly [method: 'POST' | 'PUT' | 'DELETE', path: string]

// Ids in `world.sql`: an ordinary user, a superuser, and a deactivated user.
const [USER, SUPERUSER, INACTIVE] = [1, 3, 5]

/** Expects that writes are permitted to superusers only, regardless of the body. */
export async function expectForSuperusersOnly(
  api: Pick<TestApi, 'send'>,
  writes: readonly Write[],
): Promise<void> {
  const body = { name: 5 }
  for (const [method, path] of writes) {
    const rejected = async (options: object, wanted: number) => {
      const { status } = await api.send(method, path, { body, ...options })
      expect(status, `${method} ${path}`).to.equal(wanted)
    }
    await rejected({}, 401)
    await rejected({ as: INACTIVE }, 401)
    await rejected({ as: USER }, 403)
    await rejected({ as: SUPERUSER, headers: { 'X-CSRFToken': 'wrong' } }, 403)
    expect((await api.send('PATCH', path, { as: SUPERUSER, body })).status).to.equal(405)
  }
}

/** Expects that writes to missing entities answer 404 to superusers and 403 to other users. */
export async function expectNotFound(
  api: Pick<TestApi, 'send'>,
  writes: readonly Write[],
  detail: string,
): Promise<void> {
  for (const [method, path] of writes) {
    const { status, body } = await api.send(method, path, { as: SUPERUSER, body: {} })
    expect(status, `${method} ${path}`).to.equal(404)
    expect(body).to.include({ detail })
    const rejected = await api.send(method, path, { as: USER, body: {} })
    expect(rejected.status, `${method} ${path}`).to.equal(403)
  }
}
