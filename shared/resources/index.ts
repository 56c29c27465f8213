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
import { userByEmail } from './user-by-email.ts'
import { userMe } from './user-me.ts'
import { userProfile } from './user-profile.ts'
import { userProjects } from './user-projects.ts'

export {
  affiliations,
  areas,
  branches,
  businessAreas,
  createUserAccess,
  projectDetail,
  projectStatistics,
  staffList,
  staffProfile,
  staffProjects,
  userByEmail,
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
  userByEmail,
]

/**
 * All of it that can be loaded. Access is loaded with the keys of sessions, so without their
 * secrets it is left out.
 */
export const loadable = (sessionSecrets: readonly string[]): readonly Resource[] => [
  ...catalog.filter((resource): resource is Resource => 'load' in resource),
  ...(sessionSecrets.length === 0 ? [] : [createUserAccess(sessionSecrets)]),
]
