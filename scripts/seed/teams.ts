import type { People } from './people.ts'
import { createRandom, type Random } from './random.ts'
import type { Size } from './size.ts'

const MOST_PROJECTS_OF_ONE = 60
const MOST_PROJECTS_OF_AN_OUTSIDER = 3
const EMPTY_TEAM_EVERY = 300
/** Share of the staff with more projects than the printed users. */
const PRINTED_RANK = 0.25

/**
 * Returns the ids of the members of each project. A project has four to six members, and a few have
 * none. One member of staff works on sixty projects, most on a handful.
 */
export function assembleTeams(size: Size, { staff, others, printed }: People): readonly number[][] {
  const random = createRandom('teams')
  const places = placesOf(random, size)
  const teams = places.map((): number[] => [])
  let open = [...places.keys()].filter((project) => places[project])

  const join = (user: number, wanted: number) => {
    for (const project of random.sample(open, wanted)) teams[project]?.push(user)
    open = open.filter((project) => (teams[project]?.length ?? 0) < (places[project] ?? 0))
  }
  const colleagues = staff.slice(printed.length)
  const ranked = random.sample(colleagues, colleagues.length)
  // The printed users lead some projects and are members of others.
  ranked.splice(Math.floor(staff.length * PRINTED_RANK), 0, ...printed)
  for (const [rank, user] of ranked.entries()) {
    join(user, Math.round(MOST_PROJECTS_OF_ONE ** (1 - rank / staff.length)))
  }
  for (const user of others) join(user, random.int(1, MOST_PROJECTS_OF_AN_OUTSIDER))
  return teams
}

function placesOf(random: Random, { projects, members }: Size): number[] {
  const few = Math.floor(members / projects)
  const places = Array.from({ length: projects }, (_, i) => ((i + 1) % EMPTY_TEAM_EVERY ? few : 0))
  for (let left = members - places.reduce((sum, n) => sum + n, 0); left > 0;) {
    const project = random.int(0, projects - 1)
    const taken = places[project] ?? 0
    if (taken < few || taken > few + 1) continue
    places[project] = taken + 1
    left--
  }
  return places
}
