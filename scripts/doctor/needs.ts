import { SESSION_REVOCATION } from '../../db/session-revocation.ts'
import { compileRules, isLookup } from '../../shared/cache/index.ts'
import { catalog } from '../../shared/resources/index.ts'

export type Application = 'spms-api' | 'spms-invalidator'

/** Rights on one database object, and the consequence of lacking one. */
export interface Need {
  readonly kind: 'schema' | 'table' | 'function'
  readonly name: string
  readonly rights: readonly string[]
  /** The columns of a table that the rights concern; by default all. */
  readonly columns?: readonly string[]
  readonly why: string
}

/** Returns all rights that the role of a service needs. `docs/dba.md` contains the grants. */
export const needsOf = (
  application: Application,
  /** Schemas with the tables of the application. */
  searchPath: readonly string[],
): readonly Need[] => [
  ...[...searchPath, 'invalidation'].map((name): Need => ({
    kind: 'schema',
    name,
    rights: ['usage'],
    why: NO_SCHEMA[application],
  })),
  ...NEEDS[application],
]

const watched = compileRules(catalog).tables.map(({ name }) => name)

/** Tables that lookups read. All of them are watched, so their names are found in the queries. */
const lookedUp = new Set(
  catalog
    .flatMap(({ staleWhen }) => staleWhen.filter(isLookup))
    .flatMap(({ query }) => query.match(/\w+/g) ?? [])
    .filter((word) => watched.includes(word)),
)

/** Columns that lookups read of tables whose other columns are secret or personal. */
const LOOKED_UP_COLUMNS: Readonly<Record<string, readonly string[]>> = {
  users_user: ['id', 'is_aec', 'is_superuser'],
  adminoptions_admintask: [
    'id',
    'primary_user_id',
    'project_id',
    'requester_id',
    'secondary_users',
  ],
}

const tables = (names: Iterable<string>, rights: readonly string[], why: string): Need[] =>
  [...names].map((name) => ({ kind: 'table', name, rights, why }))

const NOTHING_READ = 'it cannot read the event log and does not start'
const NO_SCHEMA: Readonly<Record<Application, string>> = {
  'spms-api': 'every request fails, or nothing is cached',
  'spms-invalidator': NOTHING_READ,
}
const NO_PRUNING = 'the event log is not pruned, or not read at all'
const NO_WRITE = 'requests that change or delete its rows fail'

const NEEDS: Readonly<Record<Application, readonly Need[]>> = {
  'spms-api': [
    ...tables(['invalidation.current_incarnation'], ['select'], 'nothing is cached'),
    {
      kind: 'function',
      name: 'invalidation.begin_incarnation()',
      rights: ['execute'],
      why: 'nothing is cached after a restart of Postgres until an invalidator runs',
    },
    ...tables(watched, ['select'], 'resources that use it cannot be loaded'),
    ...tables(
      [SESSION_REVOCATION],
      ['insert', 'update', 'delete'],
      'a log-out does not revoke sessions',
    ),
    ...tables(
      [
        'adminoptions_admintask',
        'agencies_affiliation',
        'agencies_branch',
        'agencies_businessarea',
        'agencies_departmentalservice',
        'agencies_division',
        'agencies_division_directorate_email_list',
        'caretakers_caretaker',
        'contacts_usercontact',
        'documents_projectdocument',
        'medias_projectphoto',
        'medias_useravatar',
        'projects_externalprojectdetails',
        'projects_project',
        'projects_projectarea',
        'projects_projectdetail',
        'projects_projectmember',
        'projects_studentprojectdetails',
        'users_educationentry',
        'users_employmententry',
        'users_publicstaffprofile',
        'users_user',
        'users_userprofile',
        'users_userwork',
      ],
      ['insert', 'update', 'delete'],
      NO_WRITE,
    ),
    ...tables(
      [
        'communications_comment',
        'medias_aecendorsementpdf',
        'medias_businessareaphoto',
        'medias_projectplanmethodologyphoto',
      ],
      ['update', 'delete'],
      NO_WRITE,
    ),
    ...tables(['documents_conceptplan'], ['insert'], NO_WRITE),
    ...tables(['agencies_agency', 'documents_annualreport'], ['update'], NO_WRITE),
    ...tables(
      [
        'communications_reaction',
        'contacts_address',
        'django_admin_log',
        'documents_conceptplan',
        'documents_custompublication',
        'documents_endorsement',
        'documents_progressreport',
        'documents_projectclosure',
        'documents_projectplan',
        'documents_studentreport',
        'medias_projectdocumentpdf',
        'users_doipublication',
        'users_publicstaffprofile_keyword_tags',
        'users_user_groups',
        'users_user_user_permissions',
      ],
      ['delete'],
      NO_WRITE,
    ),
  ],
  'spms-invalidator': [
    {
      kind: 'function',
      name: 'invalidation.begin_incarnation()',
      rights: ['execute'],
      why: 'it cannot begin an incarnation after a restart of Postgres, and does not start',
    },
    ...tables(
      ['event', 'rules', 'watched_table', 'build', 'current_incarnation'].map(
        (name) => `invalidation.${name}`,
      ),
      ['select'],
      NOTHING_READ,
    ),
    ...tables(['invalidation.cursor'], ['select', 'insert', 'update', 'delete'], NO_PRUNING),
    ...tables(['invalidation.retention_floor'], ['select', 'insert', 'update'], NO_PRUNING),
    ...tables(['invalidation.checkpoint'], ['select', 'insert', 'delete'], NO_PRUNING),
    ...tables(
      [0, 1, 2, 3].map((segment) => `invalidation.event_${segment}`),
      ['select', 'truncate'],
      NO_PRUNING,
    ),
    ...[...lookedUp].map((name): Need => {
      const columns = LOOKED_UP_COLUMNS[name]
      const why =
        'lookups that read it fail, so each change flushes the resources that they lead to'
      return { kind: 'table', name, rights: ['select'], ...(columns && { columns }), why }
    }),
  ],
}
