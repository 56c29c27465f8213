import { type Expression, sql } from 'kysely'

/** Whether a text holds the term anywhere, in upper or lower case. */
export const contains = (text: Expression<string | null>, term: string) =>
  sql<boolean>`${text} ilike ${`%${term.replaceAll(/[\\%_]/g, '\\$&')}%`}`
