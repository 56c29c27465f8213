import { type Expression, type Kysely, type SelectQueryBuilder, sql } from 'kysely'
import { jsonArrayFrom, jsonObjectFrom } from 'kysely/helpers/postgres'
import type { Database } from '../schema.ts'

/** A JSON value as finished text; `findJson<string | null>` where there may be none. */
export async function findJson<Text extends string | null = string>(
  trx: Kysely<Database>,
  json: Expression<unknown>,
): Promise<Text> {
  const { body } = await trx
    .selectNoFrom(sql<Text>`${json}::text`.as('body'))
    .executeTakeFirstOrThrow()
  return body as Text
}

/** The row of a query as finished JSON text; null without one. */
export const findObject = (
  trx: Kysely<Database>,
  query: Expression<unknown>,
): Promise<string | null> => findJson<string | null>(trx, jsonObjectFrom(query))

/** The rows of a query as the finished JSON text of an array. */
export const findArray = (trx: Kysely<Database>, query: Expression<unknown>): Promise<string> =>
  findJson(trx, jsonArrayFrom(query))

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
export function findPage<DB, Tables extends keyof DB, Row>(
  trx: Kysely<Database>,
  name: string,
  query: SelectQueryBuilder<DB, Tables, Row>,
  options: PageOptions,
): Promise<Page> {
  return findEnvelope(trx, name, query, (page) => page, options)
}

/**
 * The same of what costs much to show: `query` finds the ids in their order, and `show` is asked
 * only for those on the page. Postgres would make what an offset skips, too.
 */
export function findPageById<DB, Tables extends keyof DB>(
  trx: Kysely<Database>,
  name: string,
  query: SelectQueryBuilder<DB, Tables, { id: string }>,
  show: (ids: Expression<readonly string[]>) => Expression<unknown>,
  options: PageOptions,
): Promise<Page> {
  const showPage = (page: Expression<unknown>) => show(sql<readonly string[]>`array(${page})`)
  return findEnvelope(trx, name, query, showPage, options)
}

async function findEnvelope<DB, Tables extends keyof DB, Row>(
  trx: Kysely<Database>,
  name: string,
  query: SelectQueryBuilder<DB, Tables, Row>,
  show: (page: Expression<Row>) => Expression<unknown>,
  { page, pageSize }: PageOptions,
): Promise<Page> {
  // Postgres takes no offset beyond a bigint, and JavaScript writes big numbers with an exponent.
  const offset = Math.min((page - 1) * pageSize, Number.MAX_SAFE_INTEGER)
  const items = jsonArrayFrom(show(query.limit(pageSize).offset(offset)))
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
