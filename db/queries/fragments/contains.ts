import { type Expression, sql } from 'kysely'

/**
 * Whether a text contains the term, in upper or lower case. The collation is the database's own:
 * Postgres has no ILIKE for a nondeterministic one, nor for texts joined from columns of two collations.
 */
export const contains = (text: Expression<string | null>, term: string) =>
  sql<boolean>`(${text}) collate pg_catalog."default" ilike ${`%${term.replaceAll(/[\\%_]/g, '\\$&')}%`}`
