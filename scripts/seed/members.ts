import type { People } from './people.ts'
import { words } from './prose.ts'
import type { Project } from './projects.ts'
import { createRandom } from './random.ts'
import type { Rows } from './rows.ts'
import { stamps } from './time.ts'

const STAFF_ROLES = ['technical', 'research', 'consulted', 'group'] as const
const OUTSIDER_ROLES = ['externalcol', 'externalpeer', 'academicsuper', 'consulted'] as const

/** Adds the members of projects. A member of staff leads, if the team has one. */
export function addMembers(rows: Rows, { staff }: People, projects: readonly Project[]): void {
  const random = createRandom('members')
  const insiders = new Set(staff)

  for (const { id, kind, team, leader } of projects) {
    for (const [i, user] of random.sample(team, team.length).entries()) {
      const isLeader = user === leader
      const isInsider = insiders.has(user)
      const outsiderRole = kind === 'student' ? 'student' : random.pick(OUTSIDER_ROLES)
      const otherRole = isInsider ? random.pick(STAFF_ROLES) : outsiderRole
      rows.add('projects_projectmember', {
        ...stamps(random),
        project_id: id,
        user_id: user,
        is_leader: isLeader,
        role: isLeader ? 'supervising' : otherRole,
        time_allocation: random.chance(0.9) ? random.int(0, 10) / 10 : null,
        // 100 is the position of members that were never ordered.
        position: isLeader ? 1 : random.chance(0.8) ? i + 2 : 100,
        short_code: random.chance(0.2) ? String(random.int(1_000, 9_999)) : null,
        comments: random.chance(0.1) ? words(random, 100) : null,
      })
    }
  }
}
