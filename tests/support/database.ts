import { randomBytes } from 'node:crypto'
import { sql } from 'kysely'
import { Pool } from 'pg'
import { openDatabase } from '../../db/database.ts'
import { install } from '../../db/event-log/index.ts'
import { migrate } from '../../db/migrate.ts'
import { seed } from '../../scripts/seed/seed.ts'
import { compileRules } from '../../shared/cache/index.ts'
import { catalog } from '../../shared/resources/index.ts'

/** A database of one test. Disposing drops it. */
export interface TestDatabase extends AsyncDisposable {
  readonly url: string
}

/** Initial content of a test database. */
export interface TestDatabaseOptions {
  /** Whether it has the seed and the triggers, instead of empty tables. */
  readonly seeded?: boolean
  /** Whether it has the triggers. A seeded database always has them. */
  readonly installed?: boolean
  /** Whether tables are as Django makes them: without defaults, delete rules and migration tables. */
  readonly madeByDjango?: boolean
  /** Whether text columns have nondeterministic collations that ignore case. */
  readonly nondeterministic?: boolean
}

const templates = new Map<string, Promise<string>>()

/** Creates a database as a copy of a template, which is created once for each kind. */
export async function createTestDatabase({
  seeded = false,
  installed = seeded,
  madeByDjango = false,
  nondeterministic = false,
}: TestDatabaseOptions = {}): Promise<TestDatabase> {
  const content = seeded ? 'seeded' : installed ? 'installed' : 'bare'
  const kind = `${content}_${madeByDjango ? 'django' : 'ours'}${nondeterministic ? '_nd' : ''}`
  const options = { seeded, installed, madeByDjango, nondeterministic }
  const template = templates.get(kind) ?? createTemplate(kind, options)
  templates.set(kind, template)
  return copyOf(await template)
}

/** Creates a database without tables. */
export const createEmptyDatabase = (): Promise<TestDatabase> => copyOf('template0')

async function createTemplate(
  kind: string,
  { seeded, installed, madeByDjango, nondeterministic }: Required<TestDatabaseOptions>,
): Promise<string> {
  // Mocha may load this module twice, as CommonJS and as ESM, so the name must be random.
  const name = `spms_template_${kind}_${randomBytes(4).toString('hex')}`
  await runAsSuperuser(`create database ${name} template template0`)
  const url = urlOf(name)
  await migrate(url)
  if (madeByDjango) await reshape(url)
  if (nondeterministic) await run(url, NONDETERMINISTIC)
  if (seeded) await seed(url)
  if (installed) await install(url, compileRules(catalog))
  return name
}

async function copyOf(template: string): Promise<TestDatabase> {
  const name = `spms_test_${randomBytes(6).toString('hex')}`
  // Without WAL of the copied pages, which takes a third of the processor time.
  await runAsSuperuser(`create database ${name} template ${template} strategy file_copy`)
  return {
    url: urlOf(name),
    // FORCE, since a failed test may have left connections open.
    [Symbol.asyncDispose]: () => runAsSuperuser(`drop database ${name} with (force)`),
  }
}

async function reshape(url: string): Promise<void> {
  await run(
    url,
    `do $$
    declare found record;
    begin
      for found in
        select c.conrelid::regclass as table_name, c.conname,
          replace(replace(pg_get_constraintdef(c.oid), ' ON DELETE CASCADE', ''),
            ' ON DELETE SET NULL', '') as definition
        from pg_constraint c
        where c.contype = 'f' and c.connamespace = 'public'::regnamespace
      loop
        execute format('alter table %s drop constraint %I, add constraint %I %s',
          found.table_name, found.conname, found.conname, found.definition);
      end loop;
      for found in
        select d.adrelid::regclass as table_name, a.attname
        from pg_attrdef d
        join pg_attribute a on a.attrelid = d.adrelid and a.attnum = d.adnum
        join pg_class c on c.oid = d.adrelid
        where c.relnamespace = 'public'::regnamespace
      loop
        execute format('alter table %s alter column %I drop default',
          found.table_name, found.attname);
      end loop;
      drop table spms_migration, spms_migration_lock;
    end
    $$`,
  )
}

/**
 * Gives text columns alternating case-insensitive collations, so that comparisons of two columns may
 * have different collations. Every third column keeps the default. Indexes for LIKE are dropped,
 * since they do not support nondeterministic collations.
 */
const NONDETERMINISTIC = `
  create collation caseless (provider = icu, locale = 'und-u-ks-level2', deterministic = false);
  create collation caseless_en (provider = icu, locale = 'en-u-ks-level2', deterministic = false);
  do $$
  declare found record;
  begin
    for found in
      select i.indexrelid::regclass as name from pg_index i
      where exists (select from pg_opclass o
                    where o.oid = any (i.indclass::oid[]) and o.opcname like '%pattern_ops')
    loop
      execute format('drop index %s', found.name);
    end loop;
    for found in
      select c.oid::regclass as table_name, string_agg(format(
          'alter column %I type %s collate %s', a.attname, format_type(a.atttypid, a.atttypmod),
          case a.attnum % 3 when 0 then 'caseless' else 'caseless_en' end), ', ') as changes
      from pg_class c
      join pg_attribute a on a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
      where c.relnamespace = 'public'::regnamespace and c.relkind = 'r'
        and a.atttypid in ('text'::regtype, 'varchar'::regtype)
        and (a.attnum % 3 <> 1 or a.attname ~ 'email|name|title|status|kind|organisation|collaboration')
      group by c.oid
    loop
      execute format('alter table %s %s', found.table_name, found.changes);
    end loop;
  end
  $$`

function urlOf(database: string): string {
  const url = new URL(superuserUrl())
  url.pathname = `/${database}`
  return url.href
}

/** Kept, because it takes longer to connect than to run most statements. */
let superuser: Pool | undefined

async function runAsSuperuser(statement: string): Promise<void> {
  superuser ??= openPool()
  await superuser.query(statement)
}

function openPool(): Pool {
  const pool = new Pool({ connectionString: superuserUrl(), allowExitOnIdle: true })
  // A server that stops ends its idle connections.
  return pool.on('error', () => {})
}

async function run(url: string, statement: string): Promise<void> {
  const db = openDatabase({ url, poolSize: 1, applicationName: 'spms-test-support' })
  try {
    await sql.raw(statement).execute(db)
  } finally {
    await db.destroy()
  }
}

function superuserUrl(): string {
  const url = process.env.TEST_DATABASE_URL
  if (!url) throw new Error('TEST_DATABASE_URL is not set: run the tests with mocha')
  return url
}
