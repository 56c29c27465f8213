import { z } from 'zod'
import { projectDocument } from './document.ts'
import { project } from './project.ts'
import { tinyUser } from './tiny-user.ts'
import { pageOf } from './values.ts'

/** A page of projects from a search. */
export const projectPage = pageOf({ projects: z.array(project) })

/** All projects from a search, for the map. */
export const projectMap = z.strictObject({
  projects: z.array(project),
  total_projects: z.int().nonnegative(),
  projects_without_location: z.int().nonnegative(),
})

/** A page of users from a search. */
export const userPage = pageOf({ users: z.array(tinyUser) })

/** A page of project documents. */
export const documentPage = pageOf({ documents: z.array(projectDocument) })
