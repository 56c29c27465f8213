import { type Expression, sql } from 'kysely'

/**
 * An instant as clients expect it, whatever the session's time zone: `2026-02-10T16:30:00+08:00`,
 * with microseconds unless they are 0. The offset is fixed, so a summer in which Perth tried
 * daylight saving (the last one ended in 2009) shows the right instant under another hour.
 */
export const perthTime = (instant: Expression<Date | null>) => sql<string | null>`replace(
  to_char(${instant} at time zone interval '8 hours', 'YYYY-MM-DD"T"HH24:MI:SS.US'), '.000000', ''
) || '+08:00'`
