import { type Expression, sql } from 'kysely'

/**
 * Formats a timestamp in UTC, independent of the session's time zone: `2026-02-10T08:30:00Z`, with
 * microseconds unless they are 0. For the few fields that clients expect in UTC.
 */
export const utcTime = (instant: Expression<Date | null>) => sql<string | null>`replace(
  to_char(${instant} at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US'), '.000000', ''
) || 'Z'`
