import { type Expression, sql } from 'kysely'

/** The statuses of projects that go on: neither closed nor suspended. */
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

/** Whether a project of this status goes on. */
export const isActive = (status: Expression<string>) => isOneOf(status, ACTIVE_STATUSES)

/** Whether a project of this status has come to its end. */
export const isClosed = (status: Expression<string>) => isOneOf(status, ['completed', 'terminated'])

/** Whether a project of this status has stopped, for now or for good. */
export const hasStopped = (status: Expression<string>) =>
  isOneOf(status, ['completed', 'terminated', 'suspended'])

/** Whether a status is none that we know. */
export const isUnknown = (status: Expression<string>) =>
  sql<boolean>`not ${isOneOf(status, PROJECT_STATUSES)}`
