import type { QueryConfig } from 'pg'
import type { WorkerSession } from '../../db/event-log/session.ts'
import type { Redis } from '../../shared/redis.ts'

/** A piece of a program text, and what stands in its place. */
export interface Rewriting {
  readonly part: string
  readonly by: string
}

/**
 * A session that sends its statements with a piece rewritten: what a test takes out of the SQL of
 * the product is then really sent to Postgres.
 */
export function rewriteSql(session: WorkerSession, { part, by }: Rewriting): WorkerSession {
  const { client } = session
  const query = client.query.bind(client) as (...args: unknown[]) => Promise<unknown>
  const rewrite = (sql: unknown) => (typeof sql === 'string' ? sql.replaceAll(part, by) : sql)
  client.query = ((sql: string | QueryConfig, ...rest: unknown[]) =>
    query(
      typeof sql === 'string' ? rewrite(sql) : { ...sql, text: rewrite(sql.text) },
      ...rest,
    )) as typeof client.query
  return session
}

/** A connection whose scripts are defined with a piece rewritten. */
export function rewriteScripts(redis: Redis, { part, by }: Rewriting): Redis {
  const define = redis.defineCommand.bind(redis)
  redis.defineCommand = (name, definition) =>
    define(name, { ...definition, lua: definition.lua.replaceAll(part, by) })
  return redis
}
