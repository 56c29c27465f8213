import type { Faker } from '@faker-js/faker'
import { createFaker } from './faker.ts'
import type { People } from './people.ts'
import { capitalise, html, KEYWORDS, words } from './prose.ts'
import { createRandom, type Random } from './random.ts'
import type { Rows } from './rows.ts'
import type { Size } from './size.ts'
import { FIRST_YEAR, stamps, THIS_YEAR } from './time.ts'
import { TITLES } from './work.ts'

const DEGREES = ['BSc', 'BSc (Hons)', 'MSc', 'PhD', 'Grad. Dip. Environmental Science']

/**
 * Returns the users with a public profile. The first one owns the example of the README. The owners of the
 * last profiles are no longer staff.
 */
export function pickProfileOwners(size: Size, { staff, others, printed }: People): number[] {
  const random = createRandom('profile owners')
  const [admin, example] = printed
  if (admin === undefined || example === undefined)
    throw new Error('the scale is too small: the seed needs two members of staff')
  const outsiders = Math.floor(size.profiles / 100)
  const colleagues = Math.max(0, size.profiles - outsiders - printed.length)
  return [
    example,
    admin,
    ...random.sample(staff.slice(printed.length), colleagues),
    ...others.slice(0, outsiders),
  ]
}

/** Adds public profiles with their keywords and careers. Half of them have no text about the person. */
export function addProfiles(
  rows: Rows,
  size: Size,
  { printed }: People,
  owners: readonly number[],
): void {
  const random = createRandom('profiles')
  const faker = createFaker(random)
  const tags = KEYWORDS.flatMap((word) => [word, `applied ${word}`, `${word} in WA`]).map((name) =>
    rows.add('users_keywordtag', { name }),
  )
  const hideable = owners.filter((user) => !printed.includes(user))
  const hidden = new Set(random.sample(hideable, size.hiddenProfiles))

  const customTitle = () =>
    `${random.pick(['Senior', 'Principal', 'Lead'])} scientist, ${random.pick(KEYWORDS)}`

  for (const user of owners) {
    const isPrinted = printed.includes(user)
    const hasPublicEmail = random.chance(0.6)
    const hasCustomTitle = random.chance(0.4)
    const profile = rows.add('users_publicstaffprofile', {
      ...stamps(random),
      user_id: user,
      is_hidden: hidden.has(user),
      about: isPrinted || random.chance(0.5) ? html(random, random.length(344, 1_940, 4_975)) : '',
      expertise:
        isPrinted || random.chance(0.85) ? html(random, random.length(219, 928, 1_511)) : null,
      title: random.chance(0.5) ? random.pick(TITLES) : null,
      public_email: hasPublicEmail ? `scientist${user}@public.example.org` : null,
      public_email_on: random.chance(0.5),
      custom_title: hasCustomTitle ? customTitle() : null,
      custom_title_on: random.chance(0.5),
      it_asset_id: random.chance(0.8) ? 5_000 + user : null,
      employee_id: random.chance(0.8) ? `E${100_000 + user}` : null,
      aucode: null,
    })
    const links = random.sample(tags, random.int(isPrinted ? 2 : 0, 7))
    for (const tag of links) {
      rows.add('users_publicstaffprofile_keyword_tags', {
        publicstaffprofile_id: profile,
        keywordtag_id: tag,
      })
    }
    addCareer(rows, random, faker, profile)
  }
}

function addCareer(rows: Rows, random: Random, faker: Faker, profile: number): void {
  let year = random.int(1985, 2015)
  for (let n = random.int(0, 2); n >= 0; n--) {
    rows.add('users_educationentry', {
      public_profile_id: profile,
      qualification_name: `${random.pick(DEGREES)}, ${random.pick(KEYWORDS)}`,
      end_year: year,
      institution: `University of ${faker.location.city()}`,
      location: random.chance(0.9) ? `${faker.location.city()}, Australia` : '',
    })
    // Some people finish two degrees, or start two jobs, in one year.
    year += random.int(0, 4)
  }
  for (let left = random.int(0, 5); left > 0; left--) {
    const start = Math.min(year, THIS_YEAR)
    const end = Math.min(start + random.int(0, 8), THIS_YEAR)
    rows.add('users_employmententry', {
      public_profile_id: profile,
      position_title: faker.person.jobTitle(),
      start_year: start,
      end_year: left === 1 && random.chance(0.8) ? null : end,
      section: random.chance(0.7) ? `${capitalise(random.pick(KEYWORDS))} section` : '',
      employer: random.chance(0.95) ? faker.company.name() : null,
    })
    year = end
  }
  if (random.chance(0.1)) {
    rows.add('documents_custompublication', {
      public_profile_id: profile,
      year: random.int(FIRST_YEAR, THIS_YEAR),
      title: words(random, random.length(120, 300, 1_000)),
    })
  }
}
