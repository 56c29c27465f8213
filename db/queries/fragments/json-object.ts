import { type Expression, sql } from 'kysely'

/** An object of these expressions. Unlike `json_build_object`, it puts no blanks between them. */
export function jsonObject(fields: Readonly<Record<string, Expression<unknown>>>) {
  const columns = Object.entries(fields).map(([name, value]) => sql`${value} as ${sql.id(name)}`)
  return sql`(select to_json(obj) from (select ${sql.join(columns)}) as obj)`
}
