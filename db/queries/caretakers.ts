import { type Expression, type Kysely, expressionBuilder, sql } from 'kysely'
import type { Database } from '../schema.ts'
import { fileUrl } from './fragments/file-url.ts'
import { utcTime } from './fragments/utc-time.ts'

/** The caretakers of a user and the users that they cover, each a list as JSON text. */
export interface Care {
  /** Caretakers of the user, each with its own caretakers. */
  readonly caretakers: string
  /** Users that the user covers, each with its own lists. */
  readonly caretakingFor: string
  /** Time until the next relation ends, in milliseconds; Infinity if none does. */
  readonly expiresInMs: number
}

/** Maximum length of a chain of caretakers. */
const DEPTH = 5

/** Maximum number of people in one of the two lists, including nested lists; the nearest come first. */
const MAX_PEOPLE = 500
/** Maximum number of relations that are read in each direction; the nearest come first. */
const MAX_LINKS = 500

/** Returns the current caretakers of a user and the users that they cover, also through others. */
export async function findCare(trx: Kysely<Database>, userId: string): Promise<Care> {
  const links = await findLinks(trx, userId)
  const nextOf = createNextOf(links)
  return {
    caretakers: listPeople(nextOf, userId, 'caretakers'),
    caretakingFor: listPeople(nextOf, userId, 'caretaking_for'),
    expiresInMs: Math.min(...links.map(({ expires_in_ms }) => expires_in_ms ?? Infinity)),
  }
}

/** A current caretaker relation. */
interface Link {
  readonly user_id: string
  readonly caretaker_id: string
  /** Both people as JSON objects, without their lists. */
  readonly user: string
  readonly caretaker: string
  readonly expires_in_ms: number | null
}

/** User ids along a chain of relations, beginning with the requested user. */
type Path = readonly string[]
type Direction = 'caretakers' | 'caretaking_for'

/** The last person of a path, with the lists of the next people. */
interface Person {
  readonly json: string
  readonly path: Path
  readonly lists: Readonly<Partial<Record<Direction, Person[]>>>
}

type NextOf = (path: Path, direction: Direction) => Person[]

/** Creates a function that finds the next people of a path, in the order of the relations. */
function createNextOf(links: readonly Link[]): NextOf {
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
    return next.filter((person) => mayExtend(path, person.path.at(-1) ?? ''))
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

/** No path has more than DEPTH steps or the same user twice: relations may form a cycle. */
const mayExtend = (path: Path, userId: string) => path.length <= DEPTH && !path.includes(userId)

/** Returns one list of a user as JSON text. Adds people by distance: the limit omits the farthest. */
function listPeople(nextOf: NextOf, userId: string, direction: Direction): string {
  const direct: Person[] = []
  const people: Person[] = [{ json: '', path: [userId], lists: { [direction]: direct } }]
  // The loop also visits the people that it appends.
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

// Works on JSON text, since a JavaScript number may lose digits of an id.
const extended = (object: string, lists: Readonly<Record<string, string>>) =>
  `${object.slice(0, -1)},${Object.entries(lists)
    .map(([name, list]) => `"${name}":${list}`)
    .join()}}`

/**
 * Reads the relations around a user: those down to covered users, and those up to caretakers from any
 * of these users. A walk that has gone up does not go down again.
 */
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

/** A user of the relation `link`, with its id and end date. */
const person = (id: Expression<string>) =>
  eb
    .selectFrom('users_user as person')
    .leftJoin('medias_useravatar as avatar', 'avatar.user_id', 'person.id')
    .select((row) => [
      'person.id',
      sql.ref('link.id').as('caretaker_obj_id'),
      'person.display_first_name',
      'person.display_last_name',
      'person.is_superuser',
      'person.email',
      fileUrl(row.ref('avatar.file')).as('image'),
      utcTime(sql.ref('link.end_date')).as('end_date'),
    ])
    .where('person.id', '=', id)
