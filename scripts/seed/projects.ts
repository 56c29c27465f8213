import type { Agencies } from './agencies.ts'
import { addAreas, type Areas } from './areas.ts'
import type { People } from './people.ts'
import { html, KEYWORDS, title, words } from './prose.ts'
import { createRandom, type Random } from './random.ts'
import type { Rows } from './rows.ts'
import { calendarDate, FIRST_YEAR, stamps, THIS_YEAR } from './time.ts'

/** The properties of a project that documents, members and tasks depend on. */
export interface Project {
  readonly id: number
  readonly kind: Kind
  readonly year: number
  readonly lastYear: number
  readonly isClosed: boolean
  readonly deletionRequested: boolean
  readonly team: readonly number[]
  /** The first member of staff in the team. */
  readonly leader: number | undefined
}

type Kind = (typeof KINDS)[number]

// Ordered by frequency: the first ones are picked more often.
const KINDS = ['science', 'student', 'external', 'core_function'] as const
const OPEN = ['active', 'updating', 'new', 'pending', 'final_update', 'closure_requested'] as const
const CLOSED = ['completed', 'completed', 'completed', 'terminated', 'suspended'] as const
const LEVELS = ['phd', 'msc', 'honours', 'pd', 'undergrad', 'third_year', 'fourth_year'] as const
const LONGEST_YEARS = 8

/** Adds projects with their details, without members and documents. */
export function addProjects(
  rows: Rows,
  { staff, printed }: People,
  agencies: Agencies,
  teams: readonly (readonly number[])[],
): Project[] {
  const random = createRandom('projects')
  const areas = addAreas(rows)
  const numbers = new Map<number, number>()
  const insiders = new Set(staff)
  // Each printed user requests the deletion of a project.
  const withoutRequest = new Set(printed)

  return teams.map((team) => {
    const kind = random.pickSkewed(KINDS)
    const year = random.int(FIRST_YEAR, THIS_YEAR)
    const number = (numbers.get(year) ?? 0) + 1
    numbers.set(year, number)
    const endYear = year + random.int(1, LONGEST_YEARS)
    const isClosed = endYear < THIS_YEAR
    const leader = team.find((user) => insiders.has(user))
    const isRequested = !isClosed && leader !== undefined && withoutRequest.delete(leader)
    const deletionRequested = random.chance(0.01) || isRequested
    const id = rows.add('projects_project', {
      ...stamps(random),
      kind,
      status: isClosed ? random.pick(CLOSED) : random.pickSkewed(OPEN),
      year,
      number,
      title: title(random),
      description: random.chance(0.9) ? html(random, random.length(600, 2_000, 6_000)) : null,
      tagline: random.chance(0.5) ? words(random, random.int(40, 200)) : '',
      keywords: random.sample(KEYWORDS, random.int(0, 5)).join(', '),
      start_date: calendarDate(year, random.int(1, 12), random.int(1, 28)),
      end_date: random.chance(0.8) ? calendarDate(endYear, random.int(1, 12), 28) : null,
      business_area_id: random.chance(0.99) ? random.pick(agencies.businessAreas) : null,
      deletion_requested: deletionRequested,
      hidden_from_staff_profiles: random.chance(0.06) ? random.sample(team, 1) : [],
    })
    addDetails(rows, random, id, staff, agencies)
    // A few projects lack their row of areas, which programs normally create.
    if (random.chance(0.99)) {
      rows.add('projects_projectarea', {
        ...stamps(random),
        project_id: id,
        areas: random.chance(0.02) ? [] : pickAreas(random, areas),
      })
    }
    if (random.chance(0.6)) {
      rows.add('medias_projectphoto', {
        ...stamps(random),
        file: `projects/${id}.jpg`,
        size: random.int(50_000, 3_000_000),
        project_id: id,
        uploader_id: random.chance(0.9) ? random.pick(staff) : null,
      })
    }
    if (kind === 'student') addStudentDetails(rows, random, id, agencies)
    if (kind === 'external') addExternalDetails(rows, random, id, agencies)
    const lastYear = Math.min(endYear, THIS_YEAR)
    return { id, kind, year, lastYear, isClosed, deletionRequested, team, leader }
  })
}

function addDetails(
  rows: Rows,
  random: Random,
  project: number,
  staff: readonly number[],
  { services }: Agencies,
): void {
  const someone = () => (random.chance(0.9) ? random.pick(staff) : null)
  // No constraint forbids a second row, so a few projects have one.
  for (let left = random.chance(0.005) ? 2 : 1; left > 0; left--) {
    rows.add('projects_projectdetail', {
      ...stamps(random),
      project_id: project,
      creator_id: someone(),
      modifier_id: someone(),
      owner_id: someone(),
      data_custodian_id: someone(),
      site_custodian_id: someone(),
      service_id: random.chance(0.5) ? random.pick(services) : null,
      old_output_program_id: random.chance(0.2) ? random.int(1, 60) : null,
    })
  }
}

function addStudentDetails(
  rows: Rows,
  random: Random,
  project: number,
  { affiliations }: Agencies,
): void {
  if (random.chance(0.02)) return
  rows.add('projects_studentprojectdetails', {
    project_id: project,
    level: random.pickSkewed(LEVELS),
    organisation: namesOf(random.sample(affiliations, random.int(1, 2))),
  })
}

function addExternalDetails(
  rows: Rows,
  random: Random,
  project: number,
  { affiliations }: Agencies,
): void {
  if (random.chance(0.02)) return
  rows.add('projects_externalprojectdetails', {
    project_id: project,
    collaboration_with: namesOf(random.sample(affiliations, random.int(1, 4))),
    budget: random.chance(0.7) ? `<p>$${random.int(10, 900)},000</p>` : null,
    description: html(random, random.length(600, 2_000, 6_000)),
    aims: html(random, random.length(300, 900, 3_000)),
  })
}

/** Returns different areas, one of them a region, so that every map can place the project. */
function pickAreas(random: Random, { regions, all }: Areas): number[] {
  const areas = random.sample(all, random.int(1, 6))
  return areas.some((area) => regions.includes(area)) ? areas : [...areas, random.pick(regions)]
}

const namesOf = (affiliations: Agencies['affiliations']) =>
  affiliations.map(({ name }) => name).join('; ')
