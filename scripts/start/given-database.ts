import { inTransaction } from '../../db/connection.ts'
import { ConfigurationError } from '../../shared/errors.ts'
import { maskUrl } from '../mask-url.ts'

/**
 * Checks that a database of somebody else's is ready to be served from. Changes nothing in it.
 * @throws ConfigurationError that names the command to run.
 */
export async function checkGivenDatabase(url: string): Promise<void> {
  const shown = maskUrl(url)
  const { tables, triggers } = await look(url).catch((error: unknown) => {
    throw new ConfigurationError(`cannot look into ${shown}: ${reason(error)}`)
  })
  if (!tables) {
    throw new ConfigurationError(
      `there are no SPMS tables in ${shown}: run \`npm run spms -- migrate\`, ` +
        'then `npm run spms -- install`, and for example data `npm run spms -- seed`',
    )
  }
  if (!triggers) {
    throw new ConfigurationError(
      `nothing reports changes in ${shown} yet: run \`npm run spms -- install\``,
    )
  }
}

interface Readiness {
  readonly tables: boolean
  readonly triggers: boolean
}

const look = (url: string): Promise<Readiness> =>
  inTransaction(url, { applicationName: 'spms-start', connectTimeoutMs: 5_000 }, async (client) => {
    const { rows } = await client.query<Readiness>(`
      select to_regclass('users_publicstaffprofile') is not null as tables,
             exists (select from pg_trigger where tgname like 'zz\\_invalidation\\_%') as triggers`)
    return rows[0] ?? { tables: false, triggers: false }
  })

// A refused connection to a name with two addresses is an AggregateError without a message.
const reason = (error: unknown) =>
  error instanceof AggregateError ? error.errors.join(', ') : String(error)
