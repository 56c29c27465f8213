import { pbkdf2Sync } from 'node:crypto'
import { createFaker } from './faker.ts'
import { createRandom } from './random.ts'
import type { Rows } from './rows.ts'
import type { Size } from './size.ts'
import { moment } from './time.ts'

/** Ids of users that other rows of the seed refer to. */
export interface People {
  /** The superuser first, then the member. */
  readonly staff: readonly number[]
  readonly others: readonly number[]
  /** The users whose log-ins are printed: those two. Something of each kind waits for both. */
  readonly printed: readonly number[]
}

const DOMAIN = 'login.example.org'
/** The password of every account of the seed. For development only. */
export const DEVELOPMENT_PASSWORD = 'spms'
/** The only superuser. User names are e-mail addresses, as with single sign-on. */
export const ADMIN_USERNAME = `ada.minister@${DOMAIN}`
/** A member of staff who leads a business area and owns the first public profile. */
export const MEMBER_USERNAME = `sam.ranger@${DOMAIN}`
const PRINTED = [
  { username: ADMIN_USERNAME, first: 'Ada', last: 'Minister' },
  { username: MEMBER_USERNAME, first: 'Sam', last: 'Ranger' },
] as const

// Names that test ordering, JSON and HTML.
const UNUSUAL_NAMES = [
  ['Zoë', 'O’Brien'],
  ['Søren', 'Ångström'],
  ['Nguyễn', 'Thị Minh'],
  ['明', '李'],
  ['Jean-Luc', 'd’Arcy & Sons'],
  ['Te Ariki', 'van der Merwe'],
] as const

const GROUPS = ['Executive', 'Animal ethics']

/** Adds users and their groups. */
export function addPeople(rows: Rows, size: Size): People {
  const random = createRandom('people')
  const faker = createFaker(random)
  const password = hashPassword(DEVELOPMENT_PASSWORD)

  const addUser = (n: number, isStaff: boolean) => {
    const printed = PRINTED[n - 1]
    const unusual = n % 40 === 0 ? random.pick(UNUSUAL_NAMES) : undefined
    const first = printed?.first ?? unusual?.[0] ?? faker.person.firstName()
    const last = printed?.last ?? unusual?.[1] ?? faker.person.lastName()
    // A few have only an e-mail address, as if imported.
    const isNameless = !isStaff && random.chance(0.02)
    const alias = !printed && random.chance(0.1) ? faker.person.firstName() : undefined
    const username = printed?.username ?? `${slug(first)}.${slug(last)}.${n}@${DOMAIN}`
    return rows.add('users_user', {
      password,
      last_login: random.chance(0.6) ? moment(random, 400, 0) : null,
      is_superuser: username === ADMIN_USERNAME,
      is_staff: isStaff,
      is_active: printed !== undefined || !random.chance(isStaff ? 0.04 : 0.1),
      date_joined: moment(random, 2500, 100),
      username,
      first_name: isNameless ? null : first,
      last_name: isNameless ? null : last,
      email: !isStaff && random.chance(0.05) ? null : username,
      old_pk: random.chance(0.3) ? 10_000 + n : null,
      display_first_name: isNameless ? null : (alias ?? first),
      display_last_name: isNameless ? null : last,
      is_aec: printed !== undefined || (isStaff && random.chance(0.02)),
    })
  }
  const users = Array.from({ length: size.users }, (_, i) => addUser(i + 1, i < size.staff))
  addGroups(rows, users)
  return {
    staff: users.slice(0, size.staff),
    others: users.slice(size.staff),
    printed: users.slice(0, PRINTED.length),
  }
}

const slug = (name: string) =>
  name
    .normalize('NFD')
    .toLowerCase()
    .replaceAll(/[^a-z]/g, '') || 'x'

function addGroups(rows: Rows, users: readonly number[]): void {
  const random = createRandom('groups')
  const content = rows.add('django_content_type', { app_label: 'users', model: 'user' })
  const permission = rows.add('auth_permission', {
    name: 'Can view user',
    content_type_id: content,
    codename: 'view_user',
  })
  for (const name of GROUPS) {
    const group = rows.add('auth_group', { name })
    rows.add('auth_group_permissions', { group_id: group, permission_id: permission })
    for (const user of random.sample(users, 5)) {
      rows.add('users_user_groups', { user_id: user, group_id: group })
    }
  }
  for (const user of random.sample(users, 5)) {
    rows.add('users_user_user_permissions', { user_id: user, permission_id: permission })
  }
}

/** Hashes as Django does, but with few rounds and one salt, which is fast and deterministic. */
function hashPassword(password: string): string {
  const rounds = 1_000
  const salt = 'spmsdevelopment'
  const hash = pbkdf2Sync(password, salt, rounds, 32, 'sha256').toString('base64')
  return `pbkdf2_sha256$${rounds}$${salt}$${hash}`
}
