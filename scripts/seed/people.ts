import { pbkdf2Sync } from 'node:crypto'
import { createFaker } from './faker.ts'
import { createRandom } from './random.ts'
import type { Rows } from './rows.ts'
import type { Size } from './size.ts'
import { moment } from './time.ts'

/** Ids of users that other rows of the seed refer to. */
export interface People {
  /** The superuser `admin` first. */
  readonly staff: readonly number[]
  readonly others: readonly number[]
}

/** The password of every account of the seed. For development only. */
export const DEVELOPMENT_PASSWORD = 'spms'
/** The only superuser. */
export const ADMIN_USERNAME = 'admin'

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
    const isAdmin = n === 1
    const unusual = n % 40 === 0 ? random.pick(UNUSUAL_NAMES) : undefined
    const first = isAdmin ? 'Ada' : (unusual?.[0] ?? faker.person.firstName())
    const last = isAdmin ? 'Minister' : (unusual?.[1] ?? faker.person.lastName())
    // A few have only an e-mail address, as if imported.
    const isNameless = !isStaff && random.chance(0.02)
    const alias = !isAdmin && random.chance(0.1) ? faker.person.firstName() : undefined
    const [given, family] = [slug(first), slug(last)]
    return rows.add('users_user', {
      password,
      last_login: random.chance(0.6) ? moment(random, 400, 0) : null,
      is_superuser: isAdmin,
      is_staff: isStaff,
      // The administrator and the owner of the example profile must be active.
      is_active: n <= 2 || !random.chance(isStaff ? 0.04 : 0.1),
      date_joined: moment(random, 2500, 100),
      username: isAdmin ? ADMIN_USERNAME : `${given.charAt(0)}${family}${n}`,
      first_name: isNameless ? null : first,
      last_name: isNameless ? null : last,
      email: !isStaff && random.chance(0.05) ? null : `${given}.${family}.${n}@login.example.org`,
      old_pk: random.chance(0.3) ? 10_000 + n : null,
      display_first_name: isNameless ? null : (alias ?? first),
      display_last_name: isNameless ? null : last,
      is_aec: isStaff && random.chance(0.02),
    })
  }
  const users = Array.from({ length: size.users }, (_, i) => addUser(i + 1, i < size.staff))
  addGroups(rows, users)
  return { staff: users.slice(0, size.staff), others: users.slice(size.staff) }
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
