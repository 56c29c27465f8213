import { type Expression, type Kysely, expressionBuilder, sql } from 'kysely'
import type { Database } from '../schema.ts'
import { fileUrl } from './fragments/file-url.ts'
import { utcTime } from './fragments/utc-time.ts'

/** Who acts for a user and for whom the user acts, each a list in finished JSON text. */
export interface Care {
  /** With those who act for them in turn (S.Caretaker). */
  readonly caretakers: string
  /** With those for whom they act in turn. */
  readonly caretakingFor: string
  /** How long until somebody's time ends; Infinity when nobody's does. */
  readonly expiresInMs: number
}

/** How many people may stand between a user and the last of a chain, counting that last one. */
const DEPTH = 5

/** How many people one of the two lists shows, with all lists in it; the nearest are shown first. */
const MAX_PEOPLE = 500
/** How many links are read in each direction; the nearest first. */
const MAX_LINKS = 500

/** Finds all who act for a user, or for whom the user acts, directly or in turn, as of now. */
export async function findCare(trx: Kysely<Database>, userId: string): Promise<Care> {
  const links = await findLinks(trx, userId)
  const nextOf = stepsAlong(links)
  return {
    caretakers: listPeople(nextOf, userId, 'caretakers'),
    caretakingFor: listPeople(nextOf, userId, 'caretaking_for'),
    expiresInMs: Math.min(...links.map(({ expires_in_ms }) => expires_in_ms ?? Infinity)),
  }
}

/** That one person acts for another now. */
interface Link {
  readonly user_id: string
  readonly caretaker_id: string
  /** Both people as JSON objects, to which their lists are yet to be added. */
  readonly user: string
  readonly caretaker: string
  readonly expires_in_ms: number | null
}

/** A way through the links: whom it has come by so far, the user whose care it is first. */
type Path = readonly string[]
type Direction = 'caretakers' | 'caretaking_for'

/** A person on a path, with the lists that show whom the path leads to. */
interface Person {
  readonly json: string
  readonly path: Path
  readonly lists: Readonly<Partial<Record<Direction, Person[]>>>
}

type NextOf = (path: Path, direction: Direction) => Person[]

/** Finds by index who comes next on a path, in the order of the links. */
function stepsAlong(links: readonly Link[]): NextOf {
  const ofUser = grouped(links, 'user_id')
  const ofCaretaker = grouped(links, 'caretaker_id')
  return (path, direction) => {
    const from = path.at(-1) ?? ''
    const next =
      direction === 'caretakers'
        ? (ofUser.get(from) ?? []).map(({ caretaker_id, caretaker }) => ({
            json: caretaker,
            path: [...path, caretaker_id],
            lists: { caretakers: [] },
          }))
        : (ofCaretaker.get(from) ?? []).map(({ user_id, user }) => ({
            json: user,
            path: [...path, user_id],
            lists: { caretakers: [], caretaking_for: [] },
          }))
    return next.filter((person) => isNew(path, person.path.at(-1) ?? ''))
  }
}

function grouped(links: readonly Link[], column: 'user_id' | 'caretaker_id') {
  const groups = new Map<string, Link[]>()
  for (const link of links) {
    const group = groups.get(link[column])
    if (group === undefined) groups.set(link[column], [link])
    else group.push(link)
  }
  return groups
}

/** People may act for each other in a circle: whoever is on the way already ends it. */
const isNew = (path: Path, userId: string) => path.length <= DEPTH && !path.includes(userId)

/** One list of a user as JSON text. It grows by distance, so that a limit leaves out the farthest. */
function listPeople(nextOf: NextOf, userId: string, direction: Direction): string {
  const direct: Person[] = []
  const people: Person[] = [{ json: '', path: [userId], lists: { [direction]: direct } }]
  for (const { path, lists } of people) {
    for (const [which, list] of Object.entries(lists)) {
      const room = Math.max(0, 1 + MAX_PEOPLE - people.length)
      const next = nextOf(path, which as Direction).slice(0, room)
      list.push(...next)
      people.push(...next)
    }
  }
  return textOf(direct)
}

const textOf = (people: readonly Person[]): string =>
  `[${people
    .map(({ json, lists }) =>
      extended(
        json,
        Object.fromEntries(Object.entries(lists).map(([name, list]) => [name, textOf(list)])),
      ),
    )
    .join()}]`

// As text, so that no id loses a digit on its way through a JavaScript number.
const extended = (object: string, lists: Readonly<Record<string, string>>) =>
  `${object.slice(0, -1)},${Object.entries(lists)
    .map(([name, list]) => `"${name}":${list}`)
    .join()}}`

/** The links that a walk takes: down to those covered, and from wherever it is up for good. */
async function findLinks(trx: Kysely<Database>, userId: string): Promise<Link[]> {
  const { rows } = await sql<Link>`
    with recursive
    active as not materialized (
      select id, user_id, caretaker_id, end_date
      from caretakers_caretaker
      where end_date is null or end_date > now()
    ),
    walk (user_id, is_up, depth, link_id) as (
        select ${userId}::bigint, false, 0, null::bigint
      union
        select step.user_id, step.is_up, walk.depth + 1, step.link_id
        from walk
        cross join lateral (
            select active.caretaker_id, true, active.id
            from active
            where active.user_id = walk.user_id
          union all
            select active.user_id, false, active.id
            from active
            where active.caretaker_id = walk.user_id and not walk.is_up
        ) as step (user_id, is_up, link_id)
        where walk.depth < ${DEPTH}
    )
    select
      link.user_id,
      link.caretaker_id,
      to_json(covered)::text as "user",
      to_json(acting)::text as caretaker,
      floor(extract(epoch from link.end_date - now()) * 1000)::float8 as expires_in_ms
    from active as link
    cross join lateral ${person(sql.ref('link.user_id'))} as covered
    cross join lateral ${person(sql.ref('link.caretaker_id'))} as acting
    where link.id in (
        (select link_id from walk where is_up limit ${MAX_LINKS})
      union all
        (select link_id from walk where not is_up limit ${MAX_LINKS})
    )
    order by link.id
  `.execute(trx)
  return rows
}

const eb = expressionBuilder<Database>()

/** Clients know the first row of those who ever acted for a person, ended or not, as theirs. */
const firstRow = (userId: Expression<string>) =>
  eb
    .selectFrom('caretakers_caretaker as row')
    .select(['row.id', 'row.end_date'])
    .where('row.user_id', '=', userId)
    .orderBy('row.id')
    .limit(1)
    .as('first')

const person = (id: Expression<string>) =>
  eb
    .selectFrom('users_user as person')
    .leftJoin('medias_useravatar as avatar', 'avatar.user_id', 'person.id')
    .leftJoinLateral(
      (row) => firstRow(row.ref('person.id')),
      (join) => join.onTrue(),
    )
    .select((row) => [
      'person.id',
      'first.id as caretaker_obj_id',
      'person.display_first_name',
      'person.display_last_name',
      'person.is_superuser',
      'person.email',
      fileUrl(row.ref('avatar.file')).as('image'),
      utcTime(row.ref('first.end_date')).as('end_date'),
    ])
    .where('person.id', '=', id)
