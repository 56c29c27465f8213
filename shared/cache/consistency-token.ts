import type { Visibility } from '../../db/event-log/snapshot.ts'

/** What a client that has written wants to see again: everything committed before a moment. */
export interface ConsistencyToken {
  /** Of the database, as frames have it; `null` when it could not be told: then nothing covers it. */
  readonly incarnation: string | null
  readonly snapshot: Visibility
}
