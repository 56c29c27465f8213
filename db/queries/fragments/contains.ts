import { type Expression, sql } from 'kysely'

/**
 * Whether a text contains the term, ignoring case. It uses the database's default collation: ILIKE
 * supports neither nondeterministic collations nor texts joined from columns of two collations.
 */
export const contains = (text: Expression<string | null>, term: string) =>
  sql<boolean>`(${text}) collate pg_catalog."default" ilike ${`%${term.replaceAll(/[\\%_]/g, '\\$&')}%`}`
