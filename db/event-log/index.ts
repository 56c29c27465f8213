// The event log: connections to Postgres, its installation, and reading what it logged.
// Other code imports this file only.

export type { Client } from 'pg'

export { backOffMs } from './connection/back-off.ts'
export { ConfigurationError } from './connection/configuration-error.ts'
export {
  connect,
  connectPlain,
  inTransaction,
  pinSession,
  SettingsLost,
} from './connection/connection.ts'
export { errorCode } from './connection/error-code.ts'
export { parseDatabaseUrl } from './connection/database-url.ts'
export { type DatabaseOptions, openDatabase, poolUse } from './connection/pool.ts'
export { sessionModeProblem } from './connection/session-mode.ts'
export { semanticSettings } from './connection/settings.ts'
export { transienceMessage, transienceOf } from './connection/transient-states.ts'
export { isUnavailable, unavailableMessage } from './connection/unavailable.ts'
export type {
  InstalledTable,
  RulesDefinition,
  TableCreation,
  WatchedTable,
} from './installation/definition.ts'
export { install } from './installation/install.ts'
export { createInspection, type Installation } from './installation/installation.ts'
export type { Cause, Problem } from './installation/problem.ts'
export { identifier } from './installation/quote.ts'
export { retireOthers } from './installation/retire.ts'
export { type InstalledRules, readRules } from './installation/rules.ts'
export { findSessions, type LogStatus, readBacklog, readStatus } from './installation/status.ts'
export { findLoggedSegments } from './installation/segments.ts'
export { uninstall } from './installation/uninstall.ts'
export { type Event, LOCK, LOCK_CLASS } from './reading/event.ts'
export { findFiles, findFilesAndIncarnation, lockTables } from './reading/find-files.ts'
export { type Gauges, readGauges } from './reading/gauges.ts'
export {
  beginIncarnation,
  findIncarnation,
  findMoment,
  type Moment,
} from './reading/incarnation.ts'
export { type Listener, openListener } from './reading/listener.ts'
export { beginLookups, followLinks, readFiles } from './reading/lookup.ts'
export { type Cursor, emptyLog, pruneEventLog, recordCursors } from './reading/pruning.ts'
export {
  isSilence,
  NotOneSession,
  openWorkerSession,
  PING_EVERY_MS,
  type WorkerSession,
} from './reading/session.ts'
export { includes, parseSnapshot, type Snapshot, type Visibility } from './reading/snapshot.ts'
export { type Files, TableFiles, TablesRewritten } from './reading/table-files.ts'
export {
  beginReading,
  type DatabaseIdentity,
  isRetained,
  NoIncarnation,
  readHead,
  type ReadSnapshot,
  readWindow,
  type Window,
} from './reading/window.ts'
