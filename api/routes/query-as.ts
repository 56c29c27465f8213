import type { IncomingMessage } from 'node:http'
import type { Transaction } from 'kysely'
import type { Database } from '../../db/schema.ts'
import type { AppDeps } from '../deps.ts'
import type { User } from '../http/authenticate.ts'
import type { ExpensiveRead } from '../http/expensive-reads.ts'

/**
 * Runs a query that is never cached for the logged-in user. With `expense` it counts towards the limit of
 * the user and waits for a slot for expensive reads.
 * @throws PublicError `unauthenticated` for an anonymous request, `throttled` if the user exceeds the
 * limit, `unavailable` if the queue is full.
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
