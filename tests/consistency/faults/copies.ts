import { Allowances } from '../oracle/allowances.ts'
import { checkReads } from '../oracle/verdict.ts'
import { Truth } from '../oracle/truth.ts'
import { checkWriters } from '../oracle/writers.ts'
import { createClient } from '../readers/client.ts'
import { type Seen, startReaders } from '../readers/readers.ts'
import { onPostgres } from '../stage/on-postgres.ts'
import { MAX_STALENESS_MS } from '../stage/stage.ts'
import { DOORS } from '../writers/doors.ts'
import { WriteLog } from '../writers/log.ts'
import { startSqlWriters, type WriteFailure } from '../writers/sql-writers.ts'
import type { Fault } from './fault.ts'
import { onServer, withoutInvalidator } from './postgres.ts'

const COPY = 'staging'
/** Versions of copies begin here. The original never reaches this number. */
const FIRST_VERSION_OF_A_COPY = 5_000_000
const WRITERS = 2
let copies = 0

/** A copy of the database on the same server, with an API on the same Redis and key prefix. */
export const COPY_FAULTS: readonly Fault[] = [
  copy('database-copied', { hasInvalidator: false }),
  copy('database-copied-with-invalidator', { hasInvalidator: true }),
]

function copy(name: string, { hasInvalidator }: { hasInvalidator: boolean }): Fault {
  return {
    name,
    // CREATE DATABASE ... TEMPLATE requires that no client is connected.
    takes: 'postgres',
    holdMs: 5_000,
    async inject({ stage, observer, random }) {
      const { postgres, system } = stage
      const address = new URL(postgres.url)
      address.pathname = `/${COPY}`
      const url = address.href
      await onServer(postgres.url, (server) =>
        withoutInvalidator(server, postgres.url, () =>
          server.query(`create database ${COPY} template spms`),
        ),
      )

      // The copy contains the checker's history table, and continues it.
      const log = new WriteLog(FIRST_VERSION_OF_A_COPY + 200_000 * copies++)
      const truth = new Truth(log)
      const allowances = new Allowances({ maxStalenessMs: MAX_STALENESS_MS })
      await onPostgres(url, (client) => truth.advance(client))

      // It may stay on standby, since the original's invalidator owns the watermarks.
      const invalidator = hasInvalidator
        ? await system.addInvalidator(
            { DATABASE_URL: stage.urlFor('spms_invalidator', url) },
            { mayStandBy: true },
          )
        : null
      const api = await system.addApi({ DATABASE_URL: stage.urlFor('spms_api', url) })
      const client = createClient({ apis: [api.address] }, stage.session)
      const seen: Seen = { reads: [], failures: [] }
      const failures: WriteFailure[] = []
      const copyRandom = random.branch(name)
      const readers = startReaders(client, copyRandom, seen, () => undefined)
      const writers = startSqlWriters({
        ...{ url, doors: DOORS, count: WRITERS, log, failures },
        random: copyRandom,
      })

      return async () => {
        await writers.stop()
        await readers.stop()
        await api.stop()
        await invalidator?.kill()
        await onPostgres(url, (client) => truth.advance(client))
        await onServer(postgres.url, (server) => server.query(`drop database ${COPY} with (force)`))
        const { violations } = checkReads(seen.reads, { truth, log, observer, allowances })
        return [...violations, ...checkWriters(failures, null)].map(({ what, ...violation }) => ({
          ...violation,
          what: `in the copy: ${what}`,
        }))
      }
    },
  }
}
