import { type Expression, sql } from 'kysely'

/** Whether an end date is null or in the future. */
export const hasNotEnded = (endDate: Expression<Date | null>) =>
  sql<boolean>`(${endDate} is null or ${endDate} > now())`
