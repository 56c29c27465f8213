import type { QueryConfig } from 'pg'
import type { WorkerSession } from '../../db/event-log/index.ts'
import type { Redis } from '../../shared/cache/index.ts'

/** A part of a program text, and its replacement. */
export interface Rewriting {
  readonly part: string
  readonly by: string
}

/** Makes a session replace a part of each statement, so that a test can disable SQL of the product. */
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

/** Makes a connection replace a part of each Lua script that is defined later. */
export function rewriteScripts(redis: Redis, { part, by }: Rewriting): Redis {
  const define = redis.defineCommand.bind(redis)
  redis.defineCommand = (name, definition) =>
    define(name, { ...definition, lua: definition.lua.replaceAll(part, by) })
  return redis
}
