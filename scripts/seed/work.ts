import type { Agencies } from './agencies.ts'
import type { People } from './people.ts'
import { capitalise } from './prose.ts'
import { createRandom } from './random.ts'
import type { Rows } from './rows.ts'
import { stamps } from './time.ts'

/** Titles of people that the forms offer. */
export const TITLES = ['mr', 'ms', 'mrs', 'aprof', 'prof', 'dr']
const LEADER = 'Business Area Leader'
const ROLES = [
  'Ecoinformatics Developer',
  'Executive Director',
  'Assistant Executive Director',
  LEADER,
  'Admin',
  'DBCA Member',
  'None',
]

/** Adds the work places, contacts, profiles and pictures of users. Most owners of staff profiles have a picture. */
export function addWork(
  rows: Rows,
  { staff, others, printed }: People,
  agencies: Agencies,
  profileOwners: readonly number[],
): void {
  const random = createRandom('work')
  const insiders = new Set(staff)
  const owners = new Set(profileOwners)
  // The first business areas are led by the printed users.
  const businessAreaOf = (user: number) =>
    agencies.businessAreas[printed.indexOf(user)] ??
    (random.chance(0.95) ? random.pick(agencies.businessAreas) : null)

  const roleOf = (user: number) =>
    printed.includes(user) ? LEADER : random.pickSkewed(ROLES.toReversed())
  const pictureChance = (user: number) => {
    if (printed.includes(user)) return 1
    if (owners.has(user)) return 0.9
    return insiders.has(user) ? 0.5 : 0.1
  }

  for (const user of [...staff, ...others]) {
    const isInsider = insiders.has(user)
    const isPrinted = printed.includes(user)
    // Users that another program created may have no rows besides their own.
    if (!isInsider && random.chance(0.1)) continue
    rows.add('users_userwork', {
      ...stamps(random),
      user_id: user,
      agency_id: isInsider ? agencies.agency : null,
      branch_id:
        isPrinted || (isInsider && random.chance(0.9))
          ? random.pickSkewed(agencies.branches)
          : null,
      business_area_id: isInsider ? businessAreaOf(user) : null,
      affiliation_id:
        !isInsider || random.chance(0.1) ? random.pickSkewed(agencies.affiliations).id : null,
      role: isInsider ? roleOf(user) : 'None',
    })
    rows.add('users_userprofile', {
      ...stamps(random),
      user_id: user,
      image_id: null,
      title: isPrinted || random.chance(0.7) ? random.pick(TITLES) : null,
      middle_initials: random.chance(0.2)
        ? capitalise(random.pick(['a', 'e', 'j', 'm', 't']))
        : null,
    })
    rows.add('contacts_usercontact', {
      ...stamps(random),
      user_id: user,
      email: random.chance(0.3) ? `contact${user}@private.example.org` : null,
      phone: isPrinted || random.chance(0.6) ? `+61 8 5550 ${1000 + (user % 9000)}` : null,
      alt_phone: random.chance(0.1) ? `+61 491 570 ${100 + (user % 900)}` : null,
      fax: random.chance(0.1) ? `+61 8 5551 ${1000 + (user % 9000)}` : null,
    })
    if (random.chance(pictureChance(user))) {
      rows.add('medias_useravatar', {
        ...stamps(random),
        file: isPrinted || random.chance(0.97) ? `user_avatars/${user}.jpg` : null,
        size: random.int(10_000, 900_000),
        user_id: user,
      })
    }
  }
}
