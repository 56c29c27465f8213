import { type Expression, sql } from 'kysely'

/** Returns a JSON object of these expressions. Unlike `json_build_object`, it adds no spaces. */
export function jsonObject(fields: Readonly<Record<string, Expression<unknown>>>) {
  const columns = Object.entries(fields).map(([name, value]) => sql`${value} as ${sql.id(name)}`)
  return sql`(select to_json(obj) from (select ${sql.join(columns)}) as obj)`
}
