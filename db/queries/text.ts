import { type Expression, type Kysely, type SelectQueryBuilder, sql } from 'kysely'
import { jsonArrayFrom, jsonObjectFrom } from 'kysely/helpers/postgres'
import type { Database } from '../schema.ts'
import { jsonText } from './fragments/json-text.ts'

/** Returns a JSON value as text; use `findJson<string | null>` if it may be null. */
export async function findJson<Text extends string | null = string>(
  trx: Kysely<Database>,
  json: Expression<unknown>,
): Promise<Text> {
  const { body } = await trx.selectNoFrom(jsonText<Text>(json).as('body')).executeTakeFirstOrThrow()
  return body as Text
}

/** Returns the row of a query as JSON text; null without a row. */
export const findObject = (
  trx: Kysely<Database>,
  query: Expression<unknown>,
): Promise<string | null> => findJson<string | null>(trx, jsonObjectFrom(query))

/** Returns the rows of a query as the JSON text of an array. */
export const findArray = (trx: Kysely<Database>, query: Expression<unknown>): Promise<string> =>
  findJson(trx, jsonArrayFrom(query))

/** One page of a list as a JSON response body. */
export interface Page {
  readonly body: string
  /** True if the page has no items, for example past the end. */
  readonly isEmpty: boolean
}

export interface PageOptions {
  /** From 1, without an upper limit. */
  readonly page: number
  readonly pageSize: number
}

/** Returns a page of an ordered query as `{"<name>": [...], "total_results": n, "total_pages": n}`. */
export function findPage<DB, Tables extends keyof DB, Row>(
  trx: Kysely<Database>,
  name: string,
  query: SelectQueryBuilder<DB, Tables, Row>,
  options: PageOptions,
): Promise<Page> {
  return findEnvelope(trx, name, query, (page) => page, options)
}

/**
 * Like `findPage`, for rows that are expensive to build: `query` selects the ids in order, and `show`
 * builds only the rows on the page. Otherwise Postgres would also build the rows that OFFSET skips.
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
  // An offset must fit into a bigint, and JavaScript prints larger numbers with an exponent.
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
      jsonText(sql`to_json(envelope)`).as('body'),
      sql<boolean>`total_results <= ${offset}`.as('isEmpty'),
    ])
    .executeTakeFirstOrThrow()
}
