import { type Expression, sql } from 'kysely'

/** Whether something goes on: without an end date, or until it has passed. */
export const hasNotEnded = (endDate: Expression<Date | null>) =>
  sql<boolean>`(${endDate} is null or ${endDate} > now())`
