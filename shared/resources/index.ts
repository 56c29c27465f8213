import type { ResourceRules } from '../cache/index.ts'
import { affiliations } from './affiliations.ts'
import { areas } from './areas.ts'
import { branches } from './branches.ts'
import { businessAreas } from './business-areas.ts'
import { projectDetail } from './project-detail.ts'
import { projectStatistics } from './project-statistics.ts'
import { staffList } from './staff-list.ts'
import { staffProfile } from './staff-profile.ts'
import { staffProjects } from './staff-projects.ts'
import { createUserAccess, userAccessRules } from './user-access.ts'
import { createUserByEmail, userByEmailRules } from './user-by-email.ts'
import { userList } from './user-list.ts'
import { userMe } from './user-me.ts'
import { userProfile } from './user-profile.ts'
import { userProjects } from './user-projects.ts'
import { userTasks } from './user-tasks.ts'
import type { Resource } from './cache.ts'

export {
  affiliations,
  areas,
  branches,
  businessAreas,
  createUserAccess,
  createUserByEmail,
  projectDetail,
  projectStatistics,
  staffList,
  staffProfile,
  staffProjects,
  userList,
  userMe,
  userProfile,
  userProjects,
  userTasks,
}
export { staffListVariant } from './staff-list.ts'
export { userListVariant, userListVariants } from './user-list.ts'
export { type UserIdentity, userByEmailParams } from './user-by-email.ts'

/**
 * Rules of every resource. A missing one would never be invalidated, so a test compares it with the
 * folder.
 */
export const catalog: readonly ResourceRules[] = [
  staffList,
  staffProfile,
  staffProjects,
  userProjects,
  userProfile,
  userMe,
  userList,
  userTasks,
  projectDetail,
  projectStatistics,
  branches,
  businessAreas,
  affiliations,
  areas,
  userAccessRules,
  userByEmailRules,
]

/**
 * Returns the resources that can be loaded. Those that decide permissions are signed with keys derived
 * from the session secrets, so they are omitted without secrets.
 */
export const loadable = (sessionSecrets: readonly string[]): readonly Resource[] => [
  ...catalog.filter((resource): resource is Resource => 'load' in resource),
  ...(sessionSecrets.length === 0
    ? []
    : [createUserAccess(sessionSecrets), createUserByEmail(sessionSecrets)]),
]
