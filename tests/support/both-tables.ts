import { LONG } from './long.ts'
import { startTestApi, type TestApi } from '../routes/test-api.ts'

/**
 * Describes an API with triggers on the tables of Django and, with `SPMS_LONG=1`, also on those of our migrations.
 * Django's columns have no defaults, and its foreign keys are deferred and have no delete rules. A write that
 * passes on both depends on neither.
 *
 *     describeOnBothTables('GET /agencies/branches', (api, madeByDjango) => {
 *       it('lists all branches', async () => {
 *         expect((await api.send('GET', 'agencies/branches', { as: 1 })).status).to.equal(200)
 *       })
 *     })
 *
 * Before each test the database contains exactly the rows of `world.sql`.
 */
export function describeOnBothTables(
  title: string,
  suite: (api: Pick<TestApi, 'db' | 'reset' | 'send'>, madeByDjango: boolean) => void,
): void {
  for (const madeByDjango of LONG ? [true, false] : [true]) {
    describe(`${title}, on tables made by ${madeByDjango ? 'Django' : 'our migrations'}`, () => {
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
