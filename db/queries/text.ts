import { type Expression, type Kysely, type SelectQueryBuilder, sql } from 'kysely'
import { jsonArrayFrom, jsonObjectFrom } from 'kysely/helpers/postgres'
import type { Database } from '../schema.ts'

/** The row of a query as finished JSON text; null without one. */
export async function findObject(
  trx: Kysely<Database>,
  query: Expression<unknown>,
): Promise<string | null> {
  const { body } = await trx
    .selectNoFrom(sql<string | null>`${jsonObjectFrom(query)}::text`.as('body'))
    .executeTakeFirstOrThrow()
  return body
}

/** The rows of a query as the finished JSON text of an array. */
export async function findArray(
  trx: Kysely<Database>,
  query: Expression<unknown>,
): Promise<string> {
  const { body } = await trx
    .selectNoFrom(sql<string>`${jsonArrayFrom(query)}::text`.as('body'))
    .executeTakeFirstOrThrow()
  return body
}

/** One page of a list, in the envelope that clients expect. */
export interface Page {
  readonly body: string
  /** True when there are no items on it, as past the end. */
  readonly isEmpty: boolean
}

export interface PageOptions {
  /** From 1; however big. */
  readonly page: number
  readonly pageSize: number
}

/** A page of an ordered query as `{"<name>": [...], "total_results": n, "total_pages": n}`. */
export async function findPage<DB, Tables extends keyof DB, Row>(
  trx: Kysely<Database>,
  name: string,
  query: SelectQueryBuilder<DB, Tables, Row>,
  { page, pageSize }: PageOptions,
): Promise<Page> {
  // Postgres takes no offset beyond a bigint, and JavaScript writes big numbers with an exponent.
  const offset = Math.min((page - 1) * pageSize, Number.MAX_SAFE_INTEGER)
  const items = jsonArrayFrom(query.limit(pageSize).offset(offset))
  const count = query
    .clearSelect()
    .clearOrderBy()
    .select(({ fn }) => fn.countAll().as('total'))
  const envelope = sql`(
    select
      ${items} as ${sql.id(name)},
      total as total_results,
      ceil(total::numeric / ${pageSize}) as total_pages
    from ${count} as counted
  )`
  return trx
    .selectFrom(envelope.as('envelope'))
    .select([
      sql<string>`to_json(envelope)::text`.as('body'),
      sql<boolean>`total_results <= ${offset}`.as('isEmpty'),
    ])
    .executeTakeFirstOrThrow()
}
