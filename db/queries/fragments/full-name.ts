import { type Expression, sql } from 'kysely'

interface Named {
  readonly first: Expression<string | null>
  readonly last: Expression<string | null>
}

/** Returns the display name of a user. Clients expect "None" for a missing part. */
export const fullName = ({ first, last }: Named) =>
  sql<string>`coalesce(${first}, 'None') || ' ' || coalesce(${last}, 'None')`
