import { type Expression, sql } from 'kysely'

/**
 * Formats a timestamp with the offset of Perth, independent of the session's time zone:
 * `2026-02-10T16:30:00+08:00`, with microseconds unless they are 0. The offset is fixed. So for times in
 * Perth's trials of daylight saving (the last ended in 2009) the instant is right but the hour differs.
 */
export const perthTime = (instant: Expression<Date | null>) => sql<string | null>`replace(
  to_char(${instant} at time zone interval '8 hours', 'YYYY-MM-DD"T"HH24:MI:SS.US'), '.000000', ''
) || '+08:00'`
