import type { Kysely } from 'kysely'
import type { Logger } from 'winston'
import type { Database } from '../../db/schema.ts'
import { revokeAllSessions, revokeSession } from '../../db/writes/session-revocation.ts'
import { transact } from '../../db/writes/transact.ts'
import type { Claim } from './session.ts'

export interface LogOutDeps {
  readonly db: Kysely<Database>
  readonly logger: Logger
}

/** Revokes sessions before they expire, in all API processes and for all copies of their tokens. */
export interface LogOut {
  /** Revokes one session. */
  one(session: Claim): Promise<void>
  /** Revokes all sessions of a user. */
  all(userId: string): Promise<void>
}

/** Records revocations in Postgres. They invalidate cached access entries like any other write. */
export function createLogOut({ db, logger }: LogOutDeps): LogOut {
  const warn = (isRecorded: boolean) => {
    if (isRecorded) return
    logger.warn('cannot revoke a session: the event log is not installed; run spms install')
  }

  return {
    async one({ userId, sessionId, endsAtS }) {
      const session = { userId, sessionId, endsAt: new Date(endsAtS * 1000) }
      warn(await transact(db, (trx) => revokeSession(trx, session)))
    },
    async all(userId) {
      warn(await transact(db, (trx) => revokeAllSessions(trx, userId)))
    },
  }
}
