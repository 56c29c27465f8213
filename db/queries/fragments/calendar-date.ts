import { type Expression, sql } from 'kysely'

/** A date as `2026-02-10`, whatever the session's `DateStyle`. */
export const calendarDate = (date: Expression<Date | null>) =>
  sql<string | null>`to_char(${date}, 'YYYY-MM-DD')`
