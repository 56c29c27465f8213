import type { Resource, ResourceRules } from '../cache/resource.ts'
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
import { userMe } from './user-me.ts'
import { userProfile } from './user-profile.ts'
import { userProjects } from './user-projects.ts'

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
  userMe,
  userProfile,
  userProjects,
}
export { staffListVariant } from './staff-list.ts'
export { type UserIdentity, userByEmailParams } from './user-by-email.ts'

/** Every kind of cached answer. One left out is never invalidated, so a test compares it with the folder. */
export const catalog: readonly ResourceRules[] = [
  staffList,
  staffProfile,
  staffProjects,
  userProjects,
  userProfile,
  userMe,
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
 * All of it that can be loaded. What decides permissions is signed with keys of the session secrets,
 * so without them it is left out.
 */
export const loadable = (sessionSecrets: readonly string[]): readonly Resource[] => [
  ...catalog.filter((resource): resource is Resource => 'load' in resource),
  ...(sessionSecrets.length === 0
    ? []
    : [createUserAccess(sessionSecrets), createUserByEmail(sessionSecrets)]),
]
