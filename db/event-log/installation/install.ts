import { readFile } from 'node:fs/promises'
import type pg from 'pg'
import { localSettingsSql } from '../connection/connection.ts'
import { ConfigurationError } from '../connection/configuration-error.ts'
import { readCatalog, readLogProblems } from './catalog.ts'
import { digestOf, type InstalledTable, type RulesDefinition } from './definition.ts'
import { scanTables } from './drift.ts'
import { readWanted } from './installation.ts'
import {
  dropTriggersSql,
  type InstallerOptions,
  openInstaller,
  tablesWithStrayTriggers,
} from './installer.ts'
import { identifier, literal } from './quote.ts'
import { readRules } from './rules.ts'
import { areSegmentsIntact } from './segments.ts'
import { areSharedFunctionsIntact, sharedFunctionsSql } from './shared-functions.ts'
import { createFunction, createTrigger, tableTriggers } from './triggers.ts'
import { union } from './union.ts'
import { environmentalProblems, type WatchableTable, watchableTable } from './watchable.ts'

export interface InstallReport {
  readonly version: number
  readonly tables: number
  /** The tables whose triggers were created, repaired or removed. */
  readonly changed: readonly string[]
  /** Reasons for which data of some tables will not be cached, for an operator to fix. */
  readonly warnings: readonly string[]
}

export interface InstallOptions extends InstallerOptions {
  /** Receives the SQL instead of the database, for a DBA to read and run. */
  readonly print?: (sql: string) => void
}

/**
 * Creates or repairs the schema `invalidation` and the triggers, and adds the tables and columns that
 * this build watches to those of other builds. Changes only what differs. Safe to repeat, to run
 * concurrently and on a live system: it changes one table per transaction, with a short lock timeout.
 *
 * @throws ConfigurationError if a table or column is missing or cannot be watched.
 */
export async function install(
  url: string,
  wanted: RulesDefinition,
  { print, ...options }: InstallOptions = {},
): Promise<InstallReport> {
  await using installer = await openInstaller(url, options)
  const { client } = installer
  // The DBA's session may have another search path.
  const run = print
    ? (sql: string) =>
        Promise.resolve(print(`begin;\n${localSettingsSql(url)};\n${sql}\ncommit;\n`))
    : installer.run

  const known = await readKnown(client)
  if (!known.hasSchema) await run(await readSql('schema.sql'))
  // rights.sql repairs lost owners and rights.
  else if ((await readLogProblems(client)).length > 0) await run(await readSql('rights.sql'))
  for (const { name, create } of wanted.tables) {
    if (create && !(await exists(client, name))) await run(create.sql)
  }
  const tables = numbered(await watchable(client, wanted, known.registered), known)
  const isNew = !isSame(tables, known.tables)
  const version = isNew ? known.version + 1 : known.version
  // Scanned before the shared functions are replaced, so that a damaged shared function also counts as
  // damage of its tables. Replacing a function takes no lock, and a writer may still run the old one;
  // recreating the triggers locks the table.
  const states = await scanTables(client, tables)
  if (!(await areSharedFunctionsIntact(client))) await run(sharedFunctionsSql)
  if (!(await areSegmentsIntact(client))) await run(await readSql('segments.sql'))
  await run(registerSql(wanted, tables, isNew ? version : null))

  const changed: string[] = []
  for (const table of tables) {
    if (states.get(table.name)?.isIntact) continue
    await run(triggersSql(table), identifier(table.name))
    changed.push(table.name)
  }
  for (const name of await tablesWithStrayTriggers(client, tables)) {
    await run(dropTriggersSql(name), name)
    changed.push(name)
  }
  const warnings = await readWarnings(client, tables)
  return { version, tables: tables.length, changed, warnings }
}

/** Problems that can be fixed at any time do not prevent an installation; they become warnings. */
async function readWarnings(
  client: pg.ClientBase,
  tables: readonly InstalledTable[],
): Promise<string[]> {
  const catalog = await readCatalog(
    client,
    tables.map(({ name }) => name),
  )
  const problems = [...catalog].flatMap(([name, found]) => environmentalProblems(name, found))
  return [...(await readLogProblems(client)), ...problems.map(({ text }) => text)]
}

/** The previous installation. `registered` is the union of the definitions of builds that are not retired. */
interface Known {
  readonly hasSchema: boolean
  readonly version: number
  readonly tables: readonly InstalledTable[]
  readonly ids: ReadonlyMap<string, number>
  readonly registered: RulesDefinition
}

const NOTHING: Known = {
  hasSchema: false,
  version: 0,
  tables: [],
  ids: new Map(),
  registered: { tables: [] },
}

async function exists(client: pg.ClientBase, table: string): Promise<boolean> {
  const { rows } = await client.query<{ there: boolean }>(
    'select to_regclass($1) is not null as there',
    [identifier(table)],
  )
  return rows[0]?.there ?? false
}

async function readKnown(client: pg.ClientBase): Promise<Known> {
  // The last object that schema.sql creates.
  if (!(await exists(client, 'invalidation.retention_floor'))) return NOTHING
  const { newest, ids } = await readRules(client)
  return {
    hasSchema: true,
    version: newest?.version ?? 0,
    tables: newest?.tables ?? [],
    ids,
    registered: await readWanted(client),
  }
}

/** Requires the tables of this build. Skips those that only other builds watch if they were dropped. */
async function watchable(
  client: pg.ClientBase,
  wanted: RulesDefinition,
  registered: RulesDefinition,
): Promise<WatchableTable[]> {
  const own = new Map(wanted.tables.map((table) => [table.name, table]))
  const all = union([wanted, registered]).tables
  const catalog = await readCatalog(
    client,
    all.map(({ name }) => name),
  )
  const tables: WatchableTable[] = []
  for (const table of all) {
    const ownTable = own.get(table.name)
    const found = catalog.get(table.name)
    // If the SQL is only printed, a table that it creates does not exist yet.
    if (found === undefined && ownTable?.create) {
      tables.push({ ...table, primaryKey: ownTable.create.primaryKey })
      continue
    }
    try {
      tables.push(watchableTable(found, table))
    } catch (error) {
      if (!(error instanceof ConfigurationError)) throw error
      if (ownTable) tables.push(watchableTable(found, ownTable))
    }
  }
  return tables
}

/** A table with an unchanged definition keeps its id and version, so its triggers do not change. */
function numbered(tables: readonly WatchableTable[], known: Known): InstalledTable[] {
  let nextId = Math.max(0, ...known.ids.values()) + 1
  return tables.map((table) => {
    const id = known.ids.get(table.name) ?? nextId++
    const before = known.tables.find(({ name }) => name === table.name)
    const version = before && isSameTable(before, table) ? before.version : known.version + 1
    return { id, version, ...table }
  })
}

const isSame = (a: readonly InstalledTable[], b: readonly InstalledTable[]) =>
  a.length === b.length &&
  a.every(({ id, version }, i) => b[i]?.id === id && b[i].version === version)

const isSameTable = (a: WatchableTable, b: WatchableTable) =>
  (['watch', 'keys', 'primaryKey'] as const).every((part) => String(a[part]) === String(b[part]))

function registerSql(
  wanted: RulesDefinition,
  tables: readonly InstalledTable[],
  newVersion: number | null,
): string {
  return [
    ...tables.map(
      ({ id, name }) =>
        `insert into invalidation.watched_table values (${id}, ${literal(name)}) on conflict do nothing;`,
    ),
    newVersion !== null &&
      `insert into invalidation.rules (version, definition)
values (${newVersion}, ${literal(JSON.stringify({ tables }))});`,
    `insert into invalidation.build (digest, wanted)
values ('${digestOf(wanted)}', ${literal(JSON.stringify(wanted))})
on conflict (digest) do update set retired_at = null where build.retired_at is not null;`,
    'select invalidation.begin_incarnation();',
  ]
    .filter((sql) => sql !== false)
    .join('\n')
}

/** Locks the table first, so that no writer with the old triggers is left when the new ones appear. */
function triggersSql(table: InstalledTable): string {
  const { functions, triggers } = tableTriggers(table)
  return [
    `lock table ${identifier(table.name)} in share row exclusive mode;`,
    ...functions.map(createFunction),
    ...triggers.map((trigger) => createTrigger(trigger, table.name)),
  ].join('\n')
}

const readSql = (file: string) => readFile(new URL(file, import.meta.url), 'utf8')
