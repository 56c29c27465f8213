import { createHash } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { setTimeout as sleep } from 'node:timers/promises'
import { Client, DatabaseError } from 'pg'
import {
  type InstalledTable,
  MAX_WATCHED_COLUMNS,
  type RulesDefinition,
  type WatchedTable,
} from './definition.ts'
import { identifier, literal } from './quote.ts'
import { ConfigurationError } from '../errors.ts'
import { isWhole, readInstalledTriggers } from './drift.ts'
import { createFunction, createTrigger, tableTriggers } from './triggers.ts'

export interface InstallReport {
  readonly version: number
  readonly tables: number
  /** The tables whose triggers were made, repaired or removed. */
  readonly changed: readonly string[]
}

export interface InstallOptions {
  /** Receives the SQL instead of the database: for a DBA to read and run. */
  readonly print?: (sql: string) => void
}

/** Serialises installers. Ours by class; 0 in the same class is the bell. */
const INSTALL_LOCK = [1_397_771_603, 1] as const
const LOCK_TIMEOUT_MS = 100
const LOCK_ATTEMPTS = 200

/** Column types whose text form depends on no setting of the session that writes. */
const KEY_TYPES = new Set([
  'int2',
  'int4',
  'int8',
  'uuid',
  'text',
  'varchar',
  'bool',
  '_int4',
  '_int8',
])

/**
 * Adds the schema `invalidation` and the triggers to a database, or repairs them, or brings them to
 * this build's rules. Touches nothing that is right already; safe to repeat and to run twice at once.
 *
 * One table per transaction, with a short lock time-out and retries, so that it never deadlocks with
 * a live system nor makes writers queue behind it.
 *
 * @throws ConfigurationError for a table or column that is missing or cannot be watched.
 */
export async function install(
  url: string,
  definition: RulesDefinition,
  options: InstallOptions = {},
): Promise<InstallReport> {
  await using session = await openSession(url)
  const { client } = session
  await client.query('select pg_advisory_lock($1, $2)', [...INSTALL_LOCK])

  const { print } = options
  const run = print
    ? (sql: string) => Promise.resolve(print(`begin;\n${sql}\ncommit;\n`))
    : (sql: string) => transaction(client, sql)

  const known = await readKnown(client)
  if (!known.hasSchema) await run(await readSql('schema.sql'))
  await run(await readSql('functions.sql'))

  const tables: InstalledTable[] = []
  let nextId = Math.max(0, ...known.tableIds.values()) + 1
  for (const table of definition.tables) {
    tables.push(await inspectTable(client, table, known.tableIds.get(table.name) ?? nextId++))
  }

  const digest = createHash('sha256').update(JSON.stringify(tables)).digest('hex')
  const version = known.versions.get(digest) ?? Math.max(0, ...known.versions.values()) + 1
  await run(registerSql(version, digest, tables))

  const changed: string[] = []
  for (const table of tables) {
    if (isWhole(await readInstalledTriggers(client, table.name), table, version)) continue
    await run(triggersSql(table, version))
    changed.push(table.name)
  }
  for (const name of await strayTables(client, tables)) {
    await run(dropTriggersSql(name))
    changed.push(name)
  }
  return { version, tables: tables.length, changed }
}

/** Removes every trace of ours: all triggers, then the schema. Safe to repeat. */
export async function uninstall(url: string): Promise<void> {
  await using session = await openSession(url)
  const { client } = session
  await client.query('select pg_advisory_lock($1, $2)', [...INSTALL_LOCK])
  for (const name of await strayTables(client, [])) {
    await transaction(client, dropTriggersSql(name))
  }
  await transaction(client, 'drop schema if exists invalidation cascade;')
}

/** Takes the lock first: every writer that ran the old triggers has ended when the new ones appear. */
function triggersSql(table: InstalledTable, version: number): string {
  const { functions, triggers } = tableTriggers(table, version)
  return [
    `lock table ${identifier(table.name)} in share row exclusive mode;`,
    ...functions.map(createFunction),
    ...triggers.map((trigger) => createTrigger(trigger, table.name)),
  ].join('\n')
}

const dropTriggersSql = (table: string) =>
  ['insert', 'update', 'delete', 'truncate']
    .map((verb) => `drop trigger if exists zz_invalidation_${verb} on ${table};`)
    .join('\n')

function registerSql(version: number, digest: string, tables: readonly InstalledTable[]): string {
  const definition = literal(JSON.stringify({ tables }))
  return [
    ...tables.map(
      ({ id, name }) =>
        `insert into invalidation.watched_table values (${id}, ${literal(name)}) on conflict do nothing;`,
    ),
    `insert into invalidation.rules (version, digest, definition)
values (${version}, '${digest}', ${definition}) on conflict do nothing;`,
    'insert into invalidation.incarnation (id) values (gen_random_uuid()) on conflict do nothing;',
  ].join('\n')
}

const readSql = (file: string) => readFile(new URL(file, import.meta.url), 'utf8')

interface Known {
  readonly hasSchema: boolean
  readonly tableIds: ReadonlyMap<string, number>
  readonly versions: ReadonlyMap<string, number>
}

async function readKnown(client: Client): Promise<Known> {
  const { rows } = await client.query<{ there: boolean }>(
    `select to_regclass('invalidation.floor') is not null as there`,
  )
  if (!rows[0]?.there) return { hasSchema: false, tableIds: new Map(), versions: new Map() }
  const tables = await client.query<{ id: number; name: string }>(
    'select id, name from invalidation.watched_table',
  )
  const rules = await client.query<{ version: number; digest: string }>(
    'select version, digest from invalidation.rules',
  )
  return {
    hasSchema: true,
    tableIds: new Map(tables.rows.map(({ id, name }) => [name, id])),
    versions: new Map(rules.rows.map(({ version, digest }) => [digest, version])),
  }
}

/** Checks that a table can be watched as the rules ask, and adds what only the catalog knows. */
async function inspectTable(
  client: Client,
  table: WatchedTable,
  id: number,
): Promise<InstalledTable> {
  const { rows } = await client.query<{
    ordinary: boolean
    column: string
    type: string
    virtual: boolean
    key_position: number | null
  }>(
    // Statement triggers fire for the table that a statement names, not for its parents or children.
    `select c.relkind = 'r' and not exists (
              select from pg_inherits i where c.oid in (i.inhrelid, i.inhparent)) as ordinary,
            a.attname as column, t.typname as type, a.attgenerated = 'v' as virtual,
            array_position(i.indkey::int2[], a.attnum) as key_position
     from pg_class c
     join pg_attribute a on a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
     join pg_type t on t.oid = a.atttypid
     left join pg_index i on i.indrelid = c.oid and i.indisprimary
     where c.oid = to_regclass($1)`,
    [identifier(table.name)],
  )
  if (rows[0] === undefined) throw new ConfigurationError(`there is no table ${table.name}`)
  if (!rows[0].ordinary) {
    throw new ConfigurationError(
      `${table.name} is not an ordinary table (a view, partitions, inheritance): not supported`,
    )
  }

  const types = new Map(rows.map(({ column, type }) => [column, type]))
  for (const column of [...table.watch, ...table.keys]) {
    if (!types.has(column)) throw new ConfigurationError(`${table.name} has no column ${column}`)
    if (rows.some((row) => row.column === column && row.virtual)) {
      throw new ConfigurationError(`${table.name}.${column} is virtual: triggers are not shown it`)
    }
  }
  for (const column of table.keys) {
    const type = types.get(column) as string
    if (!KEY_TYPES.has(type)) {
      throw new ConfigurationError(
        `${table.name}.${column} cannot be a key: ${type} has no stable text`,
      )
    }
  }
  if (table.watch.length > MAX_WATCHED_COLUMNS) {
    throw new ConfigurationError(`${table.name}: more than ${MAX_WATCHED_COLUMNS} watched columns`)
  }
  const primaryKey = rows
    .filter(({ key_position }) => key_position !== null)
    .toSorted((a, b) => (a.key_position as number) - (b.key_position as number))
    .map(({ column }) => column)
  if (primaryKey.length === 0) throw new ConfigurationError(`${table.name} has no primary key`)
  for (const column of table.keys) {
    if (table.watch.includes(column) || primaryKey.includes(column)) continue
    throw new ConfigurationError(
      `${table.name}.${column} leads to entries: its own change has to be watched`,
    )
  }
  const keys = table.keys.length > 0 ? table.keys : primaryKey
  return { id, name: table.name, watch: table.watch, keys, primaryKey }
}

/** Tables that carry triggers of ours and are not among those given. */
async function strayTables(client: Client, tables: readonly InstalledTable[]): Promise<string[]> {
  const { rows } = await client.query<{ name: string }>(
    `select distinct t.tgrelid::regclass::text as name
     from pg_trigger t
     where t.tgname like 'zz\\_invalidation\\_%' and not t.tgisinternal
       and not (t.tgrelid = any (select to_regclass(k) from unnest($1::text[]) k))
     order by 1`,
    [tables.map(({ name }) => identifier(name))],
  )
  return rows.map(({ name }) => name)
}

/** Runs a few statements as one transaction; gives way to whoever holds a lock, then tries again. */
async function transaction(client: Client, sql: string): Promise<void> {
  for (let attempt = 1; ; attempt++) {
    try {
      await client.query(`begin; set local lock_timeout = ${LOCK_TIMEOUT_MS}; ${sql}; commit`)
      return
    } catch (error) {
      await client.query('rollback')
      if (!isLockTrouble(error) || attempt === LOCK_ATTEMPTS) throw error
      await sleep(LOCK_TIMEOUT_MS * (0.5 + Math.random()))
    }
  }
}

/** lock_not_available, deadlock_detected */
const isLockTrouble = (error: unknown) =>
  error instanceof DatabaseError && (error.code === '55P03' || error.code === '40P01')

async function openSession(url: string): Promise<AsyncDisposable & { readonly client: Client }> {
  const client = new Client({
    connectionString: url,
    application_name: 'spms-install',
    connectionTimeoutMillis: 10_000,
  })
  await client.connect()
  return { client, [Symbol.asyncDispose]: () => client.end() }
}
