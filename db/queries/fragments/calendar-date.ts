import { type Expression, sql } from 'kysely'

/** Formats a date as `2026-02-10`, independent of the session's `DateStyle`. */
export const calendarDate = (date: Expression<Date | null>) =>
  sql<string | null>`to_char(${date}, 'YYYY-MM-DD')`
