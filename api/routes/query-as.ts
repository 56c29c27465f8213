import type { IncomingMessage } from 'node:http'
import type { Transaction } from 'kysely'
import type { Database } from '../../db/schema.ts'
import type { AppDeps } from '../deps.ts'
import type { User } from '../http/authenticate.ts'

/**
 * Runs a query that is never cached, for whoever is logged in.
 * @throws PublicError `unauthenticated` when nobody is.
 */
export async function queryAs<T>(
  { requireUser, reader }: AppDeps,
  req: IncomingMessage,
  work: (trx: Transaction<Database>, user: User) => Promise<T>,
): Promise<T> {
  const user = await requireUser(req)
  return reader.query((trx) => work(trx, user))
}
