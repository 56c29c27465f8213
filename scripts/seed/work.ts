import type { Agencies } from './agencies.ts'
import type { People } from './people.ts'
import { capitalise } from './prose.ts'
import { createRandom } from './random.ts'
import type { Rows } from './rows.ts'
import { stamps } from './time.ts'

/** Titles of people that the forms offer. */
export const TITLES = ['mr', 'ms', 'mrs', 'aprof', 'prof', 'dr']
const ROLES = [
  'Ecoinformatics Developer',
  'Executive Director',
  'Assistant Executive Director',
  'Business Area Leader',
  'Admin',
  'DBCA Member',
  'None',
]

/** Adds the work places, contacts, profiles and pictures of users. */
export function addWork(rows: Rows, { staff, others }: People, agencies: Agencies): void {
  const random = createRandom('work')
  const insiders = new Set(staff)
  for (const user of [...staff, ...others]) {
    const isInsider = insiders.has(user)
    // Users that another program created may have no rows besides their own.
    if (!isInsider && random.chance(0.1)) continue
    rows.add('users_userwork', {
      ...stamps(random),
      user_id: user,
      agency_id: isInsider ? agencies.agency : null,
      branch_id: isInsider && random.chance(0.9) ? random.pickSkewed(agencies.branches) : null,
      business_area_id:
        isInsider && random.chance(0.95) ? random.pick(agencies.businessAreas) : null,
      affiliation_id:
        !isInsider || random.chance(0.1) ? random.pickSkewed(agencies.affiliations).id : null,
      role: isInsider ? random.pickSkewed(ROLES.toReversed()) : 'None',
    })
    rows.add('users_userprofile', {
      ...stamps(random),
      user_id: user,
      image_id: null,
      title: random.chance(0.7) ? random.pick(TITLES) : null,
      middle_initials: random.chance(0.2)
        ? capitalise(random.pick(['a', 'e', 'j', 'm', 't']))
        : null,
    })
    rows.add('contacts_usercontact', {
      ...stamps(random),
      user_id: user,
      email: random.chance(0.3) ? `contact${user}@private.example.org` : null,
      phone: random.chance(0.6) ? `+61 8 5550 ${1000 + (user % 9000)}` : null,
      alt_phone: random.chance(0.1) ? `+61 491 570 ${100 + (user % 900)}` : null,
      fax: random.chance(0.1) ? `+61 8 5551 ${1000 + (user % 9000)}` : null,
    })
    if (random.chance(isInsider ? 0.6 : 0.1)) {
      rows.add('medias_useravatar', {
        ...stamps(random),
        file: random.chance(0.97) ? `user_avatars/${user}.jpg` : null,
        size: random.int(10_000, 900_000),
        user_id: user,
      })
    }
  }
}
