import type { IncomingMessage } from 'node:http'
import type { z } from 'zod'
import type { AppDeps } from '../deps.ts'
import { parse } from '../parse.ts'
import { peek } from './peek.ts'

/**
 * Parses the query of a read that is for users: an anonymous request is refused before its query is.
 * @throws PublicError `unauthenticated` or `invalid` for a query that does not parse.
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
