import type { IncomingMessage } from 'node:http'
import type { z } from 'zod'
import type { AppDeps } from '../deps.ts'
import { parse } from '../parse.ts'
import { peek } from './peek.ts'

/**
 * Parses the query of a read that requires a log-in. An invalid query is rejected with 401 if the request
 * is anonymous, otherwise with 400. The caller must still authenticate requests with a valid query.
 * @throws PublicError `unauthenticated` or `invalid`.
 */
export async function parseQuery<S extends z.ZodType>(
  { requireUser }: AppDeps,
  req: IncomingMessage & { readonly query: unknown },
  schema: S,
): Promise<z.output<S>> {
  const sent = peek(schema, req.query)
  if (sent === undefined) await requireUser(req)
  return sent ?? parse(schema, req.query)
}
