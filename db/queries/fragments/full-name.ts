import { type Expression, sql } from 'kysely'

interface Named {
  readonly first: Expression<string | null>
  readonly last: Expression<string | null>
}

/** The name that a user shows. Clients know a part that is not set as "None". */
export const fullName = ({ first, last }: Named) =>
  sql<string>`coalesce(${first}, 'None') || ' ' || coalesce(${last}, 'None')`
