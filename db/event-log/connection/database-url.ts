import { readFileSync } from 'node:fs'
import type { ConnectionOptions } from 'node:tls'
import { ConfigurationError } from './configuration-error.ts'
import { errorCode } from './error-code.ts'

/** The address of a database and the search path of its sessions. */
export interface DatabaseAddress {
  /** A name, an address, or the directory of a socket; without it `pg` uses its default. */
  readonly host?: string
  readonly port?: number
  readonly user?: string
  readonly password?: string
  readonly database?: string
  /** Always explicit: without it `pg` would read `PGSSLMODE`. */
  readonly ssl: false | ConnectionOptions
  /** Schemas in which unqualified names are looked up, between `pg_catalog` and `pg_temp`. */
  readonly searchPath: readonly string[]
}

const PARAMETERS = ['sslmode', 'sslrootcert', 'sslcert', 'sslkey', 'search_path', 'host']
const SUPPORTED = 'sslmode, sslrootcert, sslcert, sslkey and search_path'

/** Alternatives to parameters that other programs support; part of error messages. */
const HINTS: Readonly<Record<string, string>> = {
  ssl: 'write sslmode=verify-full',
  uselibpqcompat: 'sslmode has one meaning here, see docs/configuration.md',
  user: 'write it before the @',
  password: 'write it before the @',
  port: 'write it after the host',
  dbname: 'write it as the path',
  db: 'write it as the path',
  application_name: 'each program has a fixed name, by which it is found in pg_stat_activity',
  fallback_application_name: 'each program has a fixed name',
  options:
    'the program sets and checks the settings of its sessions; for a schema write search_path=...',
  target_session_attrs: 'give the address of the primary',
}

/**
 * Parses a Postgres URL. Rejects every unsupported parameter by name, since a driver would pass it to
 * the server, where it could override settings that correctness depends on.
 * @throws ConfigurationError if the URL is invalid; the message contains no value that may be secret.
 */
export function parseDatabaseUrl(text: string): DatabaseAddress {
  if (!/^postgres(ql)?:\/\//.test(text) || !URL.canParse(text)) {
    throw new ConfigurationError(
      'is not postgres://[user[:password]@]host[:port]/database[?parameters]; in a password, characters such as # / ? @ % are written as %23 %2F %3F %40 %25',
    )
  }
  const url = new URL(text)
  if (url.hash) throw new ConfigurationError('has a #: in a password it is written as %23')
  const parameters = readParameters(url)
  const [user, password, hostname, database] = [
    url.username,
    url.password,
    url.hostname,
    url.pathname.slice(1),
  ].map(decode) as [string, string, string, string]
  const host = socketOf(parameters, hostname) ?? hostname.replace(/^\[(.+)\]$/, '$1')
  if (host.includes(',')) {
    throw new ConfigurationError('names several hosts: give the address of the primary')
  }
  return {
    ...(host && { host }),
    ...(url.port && { port: Number(url.port) }),
    ...(user && { user }),
    ...(password && { password }),
    ...(database && { database }),
    ssl: readTls(parameters),
    searchPath: readSearchPath(parameters.get('search_path') ?? 'public'),
  }
}

function readParameters({ searchParams }: URL): ReadonlyMap<string, string> {
  const found = new Map<string, string>()
  for (const [name, value] of searchParams) {
    if (!PARAMETERS.includes(name)) {
      const hint = HINTS[name] ?? `supported are ${SUPPORTED}`
      throw new ConfigurationError(
        `the parameter ${JSON.stringify(name)} is not supported: ${hint}`,
      )
    }
    if (found.has(name)) throw new ConfigurationError(`the parameter ${name} is given twice`)
    found.set(name, value)
  }
  return found
}

function decode(part: string): string {
  try {
    return decodeURIComponent(part)
  } catch {
    throw new ConfigurationError('has an invalid % escape: a percent sign is written as %25')
  }
}

/** Reads `postgres:///database?host=/directory`, since a standard URL cannot name a socket. */
function socketOf(parameters: ReadonlyMap<string, string>, hostname: string): string | undefined {
  const socket = parameters.get('host')
  if (socket === undefined) return undefined
  if (hostname || !socket.startsWith('/')) {
    throw new ConfigurationError(
      'the parameter "host" is only supported for the directory of a socket: write a host after the @',
    )
  }
  return socket
}

/**
 * `require` verifies the certificate like `verify-full`: without that check, encryption does not
 * protect against a man in the middle. Only `no-verify` skips the check.
 */
function readTls(parameters: ReadonlyMap<string, string>): false | ConnectionOptions {
  const [rootFile, certFile, keyFile] = ['sslrootcert', 'sslcert', 'sslkey'].map((name) =>
    parameters.get(name),
  )
  const isConfigured = [rootFile, certFile, keyFile].some((file) => file !== undefined)
  const mode = parameters.get('sslmode') ?? (isConfigured ? 'verify-full' : 'disable')
  if ((certFile === undefined) !== (keyFile === undefined)) {
    throw new ConfigurationError('sslcert and sslkey are needed together')
  }
  const options: ConnectionOptions = {
    ...(rootFile !== undefined && { ca: readCertificate('sslrootcert', rootFile) }),
    ...(certFile !== undefined && { cert: readCertificate('sslcert', certFile) }),
    ...(keyFile !== undefined && { key: readCertificate('sslkey', keyFile) }),
  }
  switch (mode) {
    case 'disable':
      if (!isConfigured) return false
      throw new ConfigurationError('sslmode=disable contradicts sslrootcert, sslcert and sslkey')
    case 'no-verify':
      return { ...options, rejectUnauthorized: false }
    case 'verify-ca':
      if (rootFile === undefined) {
        throw new ConfigurationError(
          'sslmode=verify-ca needs sslrootcert: any host may have a certificate of a public authority',
        )
      }
      return { ...options, rejectUnauthorized: true, checkServerIdentity: () => undefined }
    case 'require':
    case 'verify-full':
      return { ...options, rejectUnauthorized: true }
    default:
      throw new ConfigurationError(
        `sslmode=${JSON.stringify(mode)} is not supported: write verify-full, require, verify-ca, no-verify or disable`,
      )
  }
}

function readCertificate(parameter: string, file: string): string {
  try {
    return readFileSync(file, 'utf8')
  } catch (error) {
    const code = errorCode(error) ?? 'unreadable'
    throw new ConfigurationError(`${parameter}: cannot read ${file} (${code})`)
  }
}

const SCHEMA = /^(?:"(?<quoted>[^",]+)"|(?<bare>[a-z_][a-z0-9_$]*))$/

/** Rejects `$user` and temporary schemas, which differ between roles and sessions. */
function readSearchPath(text: string): string[] {
  return text.split(',').map((part) => {
    const { quoted, bare } = SCHEMA.exec(part.trim())?.groups ?? {}
    const schema = quoted ?? bare
    if (schema === undefined) {
      throw new ConfigurationError(
        'search_path is a comma list of schemas, in lower case or double quotes',
      )
    }
    if (schema.startsWith('pg_') || schema.startsWith('$')) {
      throw new ConfigurationError(
        `search_path must not name ${schema}: pg_catalog is always searched first and pg_temp last`,
      )
    }
    return schema
  })
}
