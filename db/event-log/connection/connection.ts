import { Client, type ClientConfig } from 'pg'
import { type DatabaseAddress, parseDatabaseUrl } from './database-url.ts'
import { ConfigurationError } from './configuration-error.ts'
import { errorCode } from './error-code.ts'
import { semanticSettings, SESSION_DEFAULTS, setLocalSql, type Settings } from './settings.ts'

/** How a program of this application connects to Postgres. */
export interface ConnectOptions {
  /** `application_name` in `pg_stat_activity`; other code finds the session by it. */
  readonly applicationName: string
  readonly connectTimeoutMs?: number
  /** Client-side timeout of a query. */
  readonly queryTimeoutMs?: number
  /** Sends queries without waiting for the results of earlier ones. */
  readonly pipeline?: boolean
}

const CONNECT_TIMEOUT_MS = 10_000
/** Idle time after which TCP keepalive probes a connection. */
const KEEP_ALIVE_DELAY_MS = 5_000

/**
 * Returns the configuration of a `pg` client. Only the address comes from the URL. The application
 * name is the only startup parameter, since poolers reject others.
 */
export function clientConfig(address: DatabaseAddress, options: ConnectOptions): ClientConfig {
  return {
    ...address,
    application_name: options.applicationName,
    connectionTimeoutMillis: options.connectTimeoutMs ?? CONNECT_TIMEOUT_MS,
    keepAlive: true,
    keepAliveInitialDelayMillis: KEEP_ALIVE_DELAY_MS,
    ...(options.queryTimeoutMs !== undefined && { query_timeout: options.queryTimeoutMs }),
    ...(options.pipeline !== undefined && { pipeline: options.pipeline }),
  }
}

/** Connects and keeps the server's settings for the session. */
export async function connectPlain(url: string, options: ConnectOptions): Promise<Client> {
  const client = new Client(clientConfig(parseDatabaseUrl(url), options))
  // Without a listener, an error between two queries would end the process. The next query fails anyway.
  client.on('error', () => {})
  try {
    await client.connect()
  } catch (error) {
    throw explainConnectionError(error)
  }
  return client
}

/**
 * Connects and sets every setting that the program relies on, overriding the URL and the defaults of
 * the role and the database. `settings` overrides individual defaults.
 * @throws SettingsLost if a pooler sends the next statement to another backend.
 */
export async function connect(
  url: string,
  options: ConnectOptions,
  settings: Settings = {},
): Promise<Client> {
  const client = await connectPlain(url, options)
  try {
    await pinSession(client, url, options.applicationName, settings)
    return client
  } catch (error) {
    await client.end()
    throw error
  }
}

/** Thrown if a session setting was lost before the next statement. */
export class SettingsLost extends Error {
  override readonly name = 'SettingsLost'
  readonly code = 'SETTINGS_LOST'
}

/** Sets the settings of a session and reads them back. Returns the process id of its backend. */
export async function pinSession(
  client: Client,
  url: string,
  applicationName: string,
  settings: Settings = {},
): Promise<number> {
  const { searchPath } = parseDatabaseUrl(url)
  const wanted = {
    ...semanticSettings(searchPath),
    ...SESSION_DEFAULTS,
    ...settings,
    application_name: applicationName,
  }
  // Skips settings that this version of Postgres does not know.
  const set = await client.query<Setting>(
    `select name, pg_catalog.set_config(name, value, false) as value,
            pg_catalog.pg_backend_pid() as backend
     from rows from (pg_catalog.unnest($1::pg_catalog.text[]), pg_catalog.unnest($2::pg_catalog.text[]))
            wanted (name, value)
     where pg_catalog.current_setting(name, true) is not null`,
    [Object.keys(wanted), Object.values(wanted)],
  )
  const found = await client.query<Setting>(
    `select name, pg_catalog.current_setting(name) as value, pg_catalog.pg_backend_pid() as backend
     from pg_catalog.unnest($1::pg_catalog.text[]) made (name)`,
    [set.rows.map(({ name }) => name)],
  )
  const kept = new Map(found.rows.map(({ name, value }) => [name, value]))
  const lost = set.rows.filter(({ name, value }) => kept.get(name) !== value)
  const backend = found.rows[0]?.backend
  if (lost.length > 0 || backend === undefined || set.rows.some((row) => row.backend !== backend)) {
    throw new SettingsLost(
      `session settings were lost (${lost.map(({ name }) => name).join(', ') || 'another backend answered'}): ${NEEDS_A_SESSION}`,
    )
  }
  return backend
}

interface Setting {
  readonly name: string
  readonly value: string
  readonly backend: number
}

/** The remedy in error messages if a pooler does not provide sessions. */
export const NEEDS_A_SESSION =
  'connect to Postgres directly or through a pooler in session mode, not in transaction mode'

/** Returns SET LOCAL statements to send with BEGIN on a connection whose session may be shared. */
export const localSettingsSql = (url: string): string =>
  setLocalSql(semanticSettings(parseDatabaseUrl(url).searchPath))

/** Makes a read fail that row security policies would filter, as in `SESSION_DEFAULTS`. */
const UNFILTERED = 'set local row_security = off'

/**
 * Runs `work` in one transaction on a connection of its own, with the settings that its queries rely
 * on. All settings are local to the transaction, so this also works through a pooler in transaction mode.
 */
export async function inTransaction<T>(
  url: string,
  options: ConnectOptions,
  work: (client: Client) => Promise<T>,
  accessMode: 'read only' | 'read write' = 'read only',
): Promise<T> {
  const client = await connectPlain(url, options)
  try {
    await client.query(
      `begin isolation level read committed ${accessMode}; ${localSettingsSql(url)}; ${UNFILTERED}`,
    )
    const result = await work(client)
    await client.query('commit')
    return result
  } finally {
    await client.end().catch(() => undefined)
  }
}

/** OpenSSL error codes for certificates of an unknown authority. */
const UNKNOWN_AUTHORITY = [
  'SELF_SIGNED_CERT_IN_CHAIN',
  'DEPTH_ZERO_SELF_SIGNED_CERT',
  'UNABLE_TO_VERIFY_LEAF_SIGNATURE',
  'UNABLE_TO_GET_ISSUER_CERT',
  'UNABLE_TO_GET_ISSUER_CERT_LOCALLY',
]

/** Adds the missing setting to the message of a TLS error. Returns other errors unchanged. */
export function explainConnectionError(error: unknown): unknown {
  if (!(error instanceof Error)) return error
  const code = errorCode(error) ?? ''
  const explain = (text: string) =>
    new ConfigurationError(`cannot connect to Postgres: ${error.message}; ${text}`, {
      cause: error,
    })
  if (UNKNOWN_AUTHORITY.includes(code)) {
    return explain(
      'name the file of its certificate authority: sslrootcert=... in DATABASE_URL, or NODE_EXTRA_CA_CERTS',
    )
  }
  if (code === 'ERR_TLS_CERT_ALTNAME_INVALID') {
    return explain(
      'give the host in DATABASE_URL as the certificate names it, or sslmode=verify-ca with sslrootcert',
    )
  }
  if (error.message === 'The server does not support SSL connections') {
    return explain('turn on ssl on the server, or write sslmode=disable in DATABASE_URL')
  }
  return error
}
