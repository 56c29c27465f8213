import { createFaker } from './faker.ts'
import type { People } from './people.ts'
import { capitalise, html, KEYWORDS, words } from './prose.ts'
import { createRandom } from './random.ts'
import type { Rows } from './rows.ts'
import type { Size } from './size.ts'
import { stamps } from './time.ts'

/** Ids of the agencies' rows that people and projects refer to, and names that other rows copy. */
export interface Agencies {
  readonly agency: number
  readonly branches: readonly number[]
  readonly businessAreas: readonly number[]
  readonly services: readonly number[]
  readonly affiliations: readonly { readonly id: number; readonly name: string }[]
}

// Clients group business areas by the slugs of the first three.
const DIVISIONS = [
  { name: 'Biodiversity and Conservation Science', slug: 'BCS' },
  { name: 'Conservation and Ecosystem Management', slug: 'CEM' },
  { name: 'Regional and Fire Management Services', slug: 'RFMS' },
] as const
const OTHER_DIVISION = { name: 'Parks and Visitor Services', slug: 'PVS' }
const EMAILS_OF_A_DIVISION = 5
const SERVICES = 12

/** Adds agencies with their branches, divisions, business areas, services and affiliations. */
export function addAgencies(rows: Rows, size: Size, { staff, printed }: People): Agencies {
  const random = createRandom('agencies')
  const faker = createFaker(random)
  const someone = () => random.pick(staff)
  const perhapsSomeone = () => (random.chance(0.8) ? someone() : null)

  const addAgency = (name: string) =>
    rows.add('agencies_agency', {
      ...stamps(random),
      name,
      key_stakeholder_id: someone(),
      is_active: true,
    })
  const agency = addAgency('Department of Biodiversity, Conservation and Attractions')
  addAgency('Botanic Gardens and Parks Authority')
  rows.add('medias_agencyimage', {
    ...stamps(random),
    file: 'agencies/dbca.jpg',
    size: 120_000,
    agency_id: agency,
  })

  const branches = times(size.branches, (n) =>
    rows.add('agencies_branch', {
      ...stamps(random),
      agency_id: random.chance(0.95) ? agency : null,
      name: `${faker.location.city()} ${random.pick(['District', 'Office', 'Herbarium'])} ${n}`,
      manager_id: perhapsSomeone(),
    }),
  )
  for (const branch of branches) {
    rows.add('contacts_address', {
      ...stamps(random),
      agency_id: null,
      branch_id: branch,
      street: faker.location.streetAddress(),
      city: faker.location.city(),
      zipcode: random.int(6_000, 6_999),
      state: 'WA',
      country: 'Australia',
    })
  }

  const divisions = times(size.divisions, (n) => {
    const { name, slug } = DIVISIONS[n - 1] ?? OTHER_DIVISION
    const division = rows.add('agencies_division', {
      ...stamps(random),
      name,
      slug,
      director_id: someone(),
      approver_id: perhapsSomeone(),
    })
    for (const user of random.sample(staff, EMAILS_OF_A_DIVISION)) {
      rows.add('agencies_division_directorate_email_list', { division_id: division, user_id: user })
    }
    return division
  })

  const businessAreas = times(size.businessAreas, (n) => {
    // Members of the business area "Directorate" have the rights of the directorate.
    const name = n === 1 ? 'Directorate' : `${capitalise(random.pick(KEYWORDS))} ${n}`
    const businessArea = rows.add('agencies_businessarea', {
      ...stamps(random),
      agency_id: agency,
      name,
      slug: name.toLowerCase().replaceAll(/[^a-z0-9]+/g, '-'),
      division_id:
        n <= printed.length || random.chance(0.95)
          ? random.pick(divisions.slice(0, DIVISIONS.length))
          : null,
      published: random.chance(0.7),
      is_active: n <= printed.length || random.chance(0.9),
      leader_id: printed[n - 1] ?? perhapsSomeone(),
      finance_admin_id: perhapsSomeone(),
      data_custodian_id: perhapsSomeone(),
      caretaker_id: random.chance(0.2) ? someone() : null,
      cost_center: random.chance(0.8) ? random.int(100, 999) : null,
      old_leader_id: null,
      focus: words(random, random.length(400, 900, 1_250)),
      introduction: html(random, random.length(900, 2_800, 5_000)),
    })
    if (random.chance(0.8)) {
      rows.add('medias_businessareaphoto', {
        ...stamps(random),
        file: `business_areas/${businessArea}.jpg`,
        size: random.int(50_000, 3_000_000),
        business_area_id: businessArea,
        uploader_id: perhapsSomeone(),
      })
    }
    return businessArea
  })

  const services = times(SERVICES, (n) =>
    rows.add('agencies_departmentalservice', {
      ...stamps(random),
      name: `Service ${n}: ${random.pick(KEYWORDS)}`,
      director_id: perhapsSomeone(),
    }),
  )
  const affiliations = times(size.affiliations, (n) => {
    const name = `${faker.location.city()} ${random.pick(['University', 'Museum', 'Trust'])} ${n}`
    return { id: rows.add('agencies_affiliation', { ...stamps(random), name }), name }
  })
  return { agency, branches, businessAreas, services, affiliations }
}

const times = <T>(count: number, make: (n: number) => T): T[] =>
  Array.from({ length: count }, (_, i) => make(i + 1))
