import type { IncomingMessage } from 'node:http'
import type { Transaction } from 'kysely'
import type { Database } from '../../db/schema.ts'
import type { AppDeps } from '../deps.ts'
import type { User } from '../http/authenticate.ts'
import type { ExpensiveRead } from '../http/expensive-reads.ts'

/**
 * Runs a query that is never cached, for whoever is logged in. An expensive one counts towards the
 * user's limit, and waits for its turn.
 * @throws PublicError `unauthenticated` when nobody is, `throttled` beyond the limit.
 */
export async function queryAs<T>(
  { requireUser, expensive, reader }: AppDeps,
  req: IncomingMessage,
  work: (trx: Transaction<Database>, user: User) => Promise<T>,
  expense?: ExpensiveRead,
): Promise<T> {
  const user = await requireUser(req)
  const query = () => reader.query((trx) => work(trx, user))
  if (expense === undefined) return query()
  expensive.count(user.userId, expense)
  return expensive.run(query)
}
