import { type Expression, sql } from 'kysely'

/** The statuses of active projects: neither closed nor suspended. */
export const ACTIVE_STATUSES = [
  'new',
  'pending',
  'active',
  'updating',
  'closure_requested',
  'closing',
  'final_update',
] as const

/** The statuses that a project can have. */
export const PROJECT_STATUSES = [
  ...ACTIVE_STATUSES,
  'completed',
  'terminated',
  'suspended',
] as const

const isOneOf = (status: Expression<string>, statuses: readonly string[]) =>
  sql<boolean>`${status} in (${sql.join(statuses.map((known) => sql.lit(known)))})`

/** Whether a project of this status is active. */
export const isActive = (status: Expression<string>) => isOneOf(status, ACTIVE_STATUSES)

/** Whether a project of this status is completed or terminated. */
export const isClosed = (status: Expression<string>) => isOneOf(status, ['completed', 'terminated'])

/** Whether a project of this status is completed, terminated or suspended. */
export const hasStopped = (status: Expression<string>) =>
  isOneOf(status, ['completed', 'terminated', 'suspended'])

/** Whether a status is not one of `PROJECT_STATUSES`. */
export const isUnknown = (status: Expression<string>) =>
  sql<boolean>`not ${isOneOf(status, PROJECT_STATUSES)}`
