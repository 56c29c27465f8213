import { type Kysely, sql, type Transaction } from 'kysely'
import { openDatabase } from '../../db/database.ts'
import type { Database } from '../../db/schema.ts'
import { ConfigurationError } from '../../shared/errors.ts'
import { addAgencies } from './agencies.ts'
import { addCaretakers } from './caretakers.ts'
import { addDocuments } from './documents.ts'
import { addMembers } from './members.ts'
import { ADMIN_USERNAME, addPeople, DEVELOPMENT_PASSWORD, MEMBER_USERNAME } from './people.ts'
import { addProfiles, pickProfileOwners } from './profiles.ts'
import { addProjects } from './projects.ts'
import { createRows, type Rows } from './rows.ts'
import { sizeOf } from './size.ts'
import { addTasks } from './tasks.ts'
import { assembleTeams } from './teams.ts'
import { addWork } from './work.ts'

export interface SeedOptions {
  /** Multiple of the ordinary size; 1 by default. */
  readonly scale?: number
  /** Where to draw the pictures to which rows refer; by default none are drawn. */
  readonly mediaRoot?: string | undefined
}

/** Facts about the seeded data that `npm start` prints. */
export interface SeedSummary {
  readonly users: number
  /** A superuser that can log in. */
  readonly login: LogIn
  /** A member of staff that can log in. */
  readonly memberLogin: LogIn
  /** A public profile with a text about expertise. */
  readonly exampleProfileId: string
  /** True if an earlier run has created the data, so that this one changed nothing. */
  readonly alreadyThere: boolean
  /** Rows by table. */
  readonly counts: Readonly<Record<string, number>>
}

interface LogIn {
  readonly username: string
  readonly password: string
}

const MARK = 'made by the seed of SPMS'
const ROWS_PER_STATEMENT = 2_000
// The example if all profiles have been hidden or deleted since.
const FIRST_PROFILE = '1'
const COUNTED = [
  'users_user',
  'users_publicstaffprofile',
  'agencies_division',
  'agencies_businessarea',
  'agencies_branch',
  'agencies_affiliation',
  'projects_project',
  'projects_projectmember',
  'documents_projectdocument',
  'caretakers_caretaker',
] as const

/**
 * Fills a migrated database with deterministic example data. Repeated and concurrent runs are safe.
 * @throws ConfigurationError if the database has no tables, or users that the seed did not create.
 */
export async function seed(url: string, options: SeedOptions = {}): Promise<SeedSummary> {
  const db = openDatabase({ url, poolSize: 1, applicationName: 'spms-seed' })
  try {
    return await db
      .transaction()
      .setIsolationLevel('read committed')
      .execute(async (trx) => {
        await sql`select pg_advisory_xact_lock(hashtextextended(${MARK}, 0))`.execute(trx)
        const alreadyThere = await isSeeded(trx)
        if (!alreadyThere) {
          const rows = makeRows(options.scale ?? 1)
          if (options.mediaRoot) {
            // Loaded only here: tests seed without pictures, and an image without the library can seed too.
            const { drawFiles } = await import('./pictures.ts')
            await drawFiles(rows, options.mediaRoot)
          }
          await load(trx, rows)
        }
        return { ...(await summarise(trx)), alreadyThere }
      })
  } finally {
    await db.destroy()
  }
}

// The mark is a comment on a table. It needs no table of its own, and dumps and copies include it.
async function isSeeded(db: Kysely<Database>): Promise<boolean> {
  const { rows } = await sql<{ mark: string | null }>`
    select obj_description(c.oid, 'pg_class') as mark from pg_class c
    where c.oid = to_regclass('users_user')
  `.execute(db)
  const [table] = rows
  if (table === undefined) {
    throw new ConfigurationError(
      'cannot seed: the database has no SPMS tables; run `npm run spms -- migrate` first',
    )
  }
  const user = await db.selectFrom('users_user').select('id').limit(1).executeTakeFirst()
  if (user !== undefined && table.mark !== MARK) {
    throw new ConfigurationError(
      'cannot seed: the database has users that `seed` did not create; use an empty database',
    )
  }
  return user !== undefined
}

function makeRows(scale: number): Rows {
  const rows = createRows()
  const size = sizeOf(scale)
  const people = addPeople(rows, size)
  const agencies = addAgencies(rows, size, people)
  const profileOwners = pickProfileOwners(size, people)
  addWork(rows, people, agencies, profileOwners)
  addProfiles(rows, size, people, profileOwners)
  addCaretakers(rows, size, people)
  const projects = addProjects(rows, people, agencies, assembleTeams(size, people))
  addMembers(rows, people, projects)
  addDocuments(rows, size, people, projects)
  addTasks(rows, people, projects)
  return rows
}

// Foreign keys are checked at the commit, so the order of tables does not matter.
async function load(trx: Transaction<Database>, { tables }: Rows): Promise<void> {
  for (const [name, rows] of tables) {
    const table = sql.table(name)
    const columns = sql.join(Object.keys(rows[0] ?? {}).map((column) => sql.ref(column)))
    for (let start = 0; start < rows.length; start += ROWS_PER_STATEMENT) {
      const json = JSON.stringify(rows.slice(start, start + ROWS_PER_STATEMENT))
      await sql`
        insert into ${table} (${columns})
        select ${columns} from json_populate_recordset(null::${table}, ${json})
      `.execute(trx)
    }
    await sql`
      select setval(pg_get_serial_sequence(${name}, 'id'), ${rows.length})
    `.execute(trx)
    await sql`analyze ${table}`.execute(trx)
  }
  await sql`comment on table users_user is ${sql.lit(MARK)}`.execute(trx)
}

async function summarise(db: Kysely<Database>): Promise<Omit<SeedSummary, 'alreadyThere'>> {
  const counts: Record<string, number> = {}
  for (const table of COUNTED) {
    const { count } = await db
      .selectFrom(table)
      .select((eb) => eb.fn.countAll().as('count'))
      .executeTakeFirstOrThrow()
    counts[table] = Number(count)
  }
  const example = await db
    .selectFrom('users_publicstaffprofile as profile')
    .innerJoin('users_user as person', 'person.id', 'profile.user_id')
    .select('profile.id')
    .where('profile.is_hidden', '=', false)
    .where('profile.expertise', '<>', '')
    .where('person.is_active', '=', true)
    .where('person.is_staff', '=', true)
    .orderBy('profile.id')
    .limit(1)
    .executeTakeFirst()
  return {
    users: counts['users_user'] ?? 0,
    login: { username: ADMIN_USERNAME, password: DEVELOPMENT_PASSWORD },
    memberLogin: { username: MEMBER_USERNAME, password: DEVELOPMENT_PASSWORD },
    exampleProfileId: example?.id ?? FIRST_PROFILE,
    counts,
  }
}
