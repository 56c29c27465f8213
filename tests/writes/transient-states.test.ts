import { expect } from 'chai'
import { sql } from 'kysely'
import { WriteError } from '../../db/writes/write-error.ts'
import { transact } from '../../db/writes/transact.ts'
import { isUnavailable } from '../../db/event-log/index.ts'
import { startTestApi, type TestApi } from '../routes/test-api.ts'

/** SQLSTATEs of failures that may not occur again in a retry. */
const TRANSIENT = [
  '08006',
  '25006',
  '25P03',
  '25P04',
  '40001',
  '40P01',
  '53200',
  '53300',
  '55P03',
  '57014',
  '57P01',
  '57P02',
  '57P03',
  '57P05',
]
const LASTING = ['22012', '23514', '42P01', '42501', '53100', 'XX000']

describe('transient SQLSTATEs', () => {
  let api: TestApi

  before(async () => {
    api = await startTestApi()
  })
  after(() => api[Symbol.asyncDispose]())

  const raise = (state: string) =>
    sql.raw(`do $$ begin raise exception using errcode = '${state}'; end $$`)
  const failureOf = (work: Promise<unknown>) =>
    work.then(
      () => undefined,
      (error: unknown) => error,
    )

  for (const state of TRANSIENT) {
    it(`include ${state}, which makes a read and a write unavailable`, async () => {
      expect(isUnavailable(await failureOf(raise(state).execute(api.db)))).to.be.true
      const failure = await failureOf(transact(api.db, (trx) => raise(state).execute(trx)))
      expect(failure).to.be.instanceOf(WriteError).and.to.include({ reason: 'unavailable' })
    })
  }

  it('do not include failures that a retry would meet again', async () => {
    for (const state of LASTING) {
      expect(isUnavailable(await failureOf(raise(state).execute(api.db))), state).to.be.false
      const failure = await failureOf(transact(api.db, (trx) => raise(state).execute(trx)))
      expect(failure, state).not.to.be.instanceOf(WriteError)
    }
  })
})
