import { inTransaction } from '../../db/event-log/index.ts'
import { ConfigurationError } from '../../shared/errors.ts'
import { maskUrl } from '../mask-url.ts'

/**
 * Checks that the database of DATABASE_URL has tables and triggers, without changing it.
 * @throws ConfigurationError if not, with the command to run.
 */
export async function checkGivenDatabase(url: string): Promise<void> {
  const shown = maskUrl(url)
  const { tables, triggers } = await inspect(url).catch((error: unknown) => {
    throw new ConfigurationError(`cannot inspect ${shown}: ${reason(error)}`)
  })
  if (!tables) {
    throw new ConfigurationError(
      `there are no SPMS tables in ${shown}: run \`npm run spms -- migrate\`, ` +
        'then `npm run spms -- install`, and for example data `npm run spms -- seed`',
    )
  }
  if (!triggers) {
    throw new ConfigurationError(
      `there are no triggers in ${shown}: run \`npm run spms -- install\``,
    )
  }
}

interface Readiness {
  readonly tables: boolean
  readonly triggers: boolean
}

const inspect = (url: string): Promise<Readiness> =>
  inTransaction(url, { applicationName: 'spms-start', connectTimeoutMs: 5_000 }, async (client) => {
    const { rows } = await client.query<Readiness>(`
      select to_regclass('users_publicstaffprofile') is not null as tables,
             exists (select from pg_trigger where tgname like 'zz\\_invalidation\\_%') as triggers`)
    return rows[0] ?? { tables: false, triggers: false }
  })

// If two addresses of a host both refuse the connection, the error has no message.
const reason = (error: unknown) =>
  error instanceof AggregateError ? error.errors.join(', ') : String(error)
