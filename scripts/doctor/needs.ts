import { SESSION_REVOCATION } from '../../db/session-revocation.ts'
import { compileRules } from '../../shared/cache/compile.ts'
import { isLookup } from '../../shared/cache/rule.ts'
import { catalog } from '../../shared/resources/index.ts'

export type Application = 'spms-api' | 'spms-invalidator'

/** Rights on one thing, and what becomes of whoever lacks one. */
export interface Need {
  readonly kind: 'schema' | 'table' | 'function'
  readonly name: string
  readonly rights: readonly string[]
  readonly why: string
}

/** All that the role of a service has to be granted; `docs/dba.md` grants it. */
export const needsOf = (
  application: Application,
  /** Where the tables of the application are. */
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

/** Every table that a lookup reads is watched, so its name is one of these. */
const lookedUp = new Set(
  catalog
    .flatMap(({ staleWhen }) => staleWhen.filter(isLookup))
    .flatMap(({ query }) => query.match(/\w+/g) ?? [])
    .filter((word) => watched.includes(word)),
)

const tables = (names: Iterable<string>, rights: readonly string[], why: string): Need[] =>
  [...names].map((name) => ({ kind: 'table', name, rights, why }))

const NOTHING_READ = 'it reads nothing, and does not start to work'
const NO_SCHEMA: Readonly<Record<Application, string>> = {
  'spms-api': 'every request fails, or nothing is cached',
  'spms-invalidator': NOTHING_READ,
}
const NO_BOOKS = 'the log is not emptied, or not read at all'
const NO_WRITE = 'requests that change or delete what is there fail'

const NEEDS: Readonly<Record<Application, readonly Need[]>> = {
  'spms-api': [
    ...tables(['invalidation.current_incarnation'], ['select'], 'nothing is cached'),
    {
      kind: 'function',
      name: 'invalidation.begin_incarnation()',
      rights: ['execute'],
      why: 'nothing is cached after a restart of Postgres until an invalidator runs',
    },
    ...tables(watched, ['select'], 'what shows it cannot be loaded'),
    ...tables([SESSION_REVOCATION], ['insert', 'update', 'delete'], 'a log-out revokes nothing'),
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
        'projects_externalprojectdetails',
        'projects_projectarea',
        'projects_projectdetail',
        'projects_projectmember',
        'projects_studentprojectdetails',
        'users_educationentry',
        'users_employmententry',
        'users_publicstaffprofile',
      ],
      ['insert', 'update', 'delete'],
      NO_WRITE,
    ),
    ...tables(
      [
        'communications_comment',
        'documents_projectdocument',
        'medias_aecendorsementpdf',
        'medias_businessareaphoto',
        'medias_projectphoto',
        'medias_projectplanmethodologyphoto',
        'projects_project',
        'users_user',
        'users_userprofile',
        'users_userwork',
      ],
      ['update', 'delete'],
      NO_WRITE,
    ),
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
        'medias_useravatar',
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
    ...tables(['invalidation.cursor'], ['select', 'insert', 'update', 'delete'], NO_BOOKS),
    ...tables(['invalidation.retention_floor'], ['select', 'insert', 'update'], NO_BOOKS),
    ...tables(['invalidation.checkpoint'], ['select', 'insert', 'delete'], NO_BOOKS),
    ...tables(
      [0, 1, 2, 3].map((segment) => `invalidation.event_${segment}`),
      ['select', 'truncate'],
      NO_BOOKS,
    ),
    ...tables(
      lookedUp,
      ['select'],
      'links through it cannot be followed, so each change flushes what they lead to',
    ),
  ],
}
