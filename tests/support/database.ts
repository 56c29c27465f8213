import { randomBytes } from 'node:crypto'
import { sql } from 'kysely'
import { openDatabase } from '../../db/database.ts'
import { install } from '../../db/event-log/install.ts'
import { migrate } from '../../db/migrate.ts'
import { seed } from '../../scripts/seed/seed.ts'
import { compileRules } from '../../shared/cache/compile.ts'
import { catalog } from '../../shared/resources/index.ts'

/** One test owns it, and disposing drops it. */
export interface TestDatabase extends AsyncDisposable {
  readonly url: string
}

/** What the database holds from the start. */
export interface TestDatabaseOptions {
  /** With the seed and the triggers, instead of bare tables. */
  readonly seeded?: boolean
  /** With the triggers; what is seeded always has them. */
  readonly installed?: boolean
  /** With the tables as Django leaves them: no defaults, no delete rules, no bookkeeping of ours. */
  readonly madeByDjango?: boolean
}

const templates = new Map<string, Promise<string>>()

/** A database of one test's own: a copy of one that is made once for the whole run. */
export async function createTestDatabase({
  seeded = false,
  installed = seeded,
  madeByDjango = false,
}: TestDatabaseOptions = {}): Promise<TestDatabase> {
  const content = seeded ? 'seeded' : installed ? 'installed' : 'bare'
  const kind = `${content}_${madeByDjango ? 'django' : 'ours'}`
  const template = templates.get(kind) ?? createTemplate(kind, { seeded, installed, madeByDjango })
  templates.set(kind, template)
  return copyOf(await template)
}

/** A database with nothing in it. */
export const createEmptyDatabase = (): Promise<TestDatabase> => copyOf('template0')

async function createTemplate(
  kind: string,
  { seeded, installed, madeByDjango }: Required<TestDatabaseOptions>,
): Promise<string> {
  // Mocha may load this module twice in one run, as CommonJS and as ESM: no name stands for both.
  const name = `spms_template_${kind}_${randomBytes(4).toString('hex')}`
  await runAsSuperuser(`create database ${name} template template0`)
  const url = urlOf(name)
  await migrate(url)
  if (madeByDjango) await reshape(url)
  if (seeded) await seed(url)
  if (installed) await install(url, compileRules(catalog))
  return name
}

async function copyOf(template: string): Promise<TestDatabase> {
  const name = `spms_test_${randomBytes(6).toString('hex')}`
  await runAsSuperuser(`create database ${name} template ${template}`)
  return {
    url: urlOf(name),
    // By force: a test that failed may have left connections behind.
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

function urlOf(database: string): string {
  const url = new URL(superuserUrl())
  url.pathname = `/${database}`
  return url.href
}

const runAsSuperuser = (statement: string) => run(superuserUrl(), statement)

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
  if (!url) throw new Error('TEST_DATABASE_URL is not set: run tests by mocha')
  return url
}
