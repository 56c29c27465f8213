import { startTestApi, type TestApi } from '../routes/test-api.ts'

/**
 * Describes an API twice, with the triggers: on the tables as our migrations make them, and as
 * Django leaves them, where no column has a default and no foreign key deletes anything but all
 * wait for the commit. A write that passes on both relies on neither.
 *
 *     describeOnBothTables('branches over HTTP', (api, madeByDjango) => {
 *       it('are listed', async () => {
 *         expect((await api.send('GET', 'agencies/branches', { as: 1 })).status).to.equal(200)
 *       })
 *     })
 *
 * Before each test the database holds `world.sql` and nothing else.
 */
export function describeOnBothTables(
  title: string,
  suite: (api: Pick<TestApi, 'db' | 'reset' | 'send'>, madeByDjango: boolean) => void,
): void {
  for (const madeByDjango of [false, true]) {
    describe(`${title}, tables made by ${madeByDjango ? 'Django' : 'us'}`, () => {
      let api: TestApi

      before(async () => {
        api = await startTestApi({ madeByDjango })
      })
      after(() => api[Symbol.asyncDispose]())
      beforeEach(() => api.reset())

      const started = {
        get db() {
          return api.db
        },
        reset: () => api.reset(),
        send: (...request: Parameters<TestApi['send']>) => api.send(...request),
      }
      suite(started, madeByDjango)
    })
  }
}
