import { z } from 'zod'
import { projectDocument } from './document.ts'
import { project } from './project.ts'
import { tinyUser } from './tiny-user.ts'
import { pageOf } from './values.ts'

/** A page of the projects that a search found. */
export const projectPage = pageOf({ projects: z.array(project) })

/** Every project that a search found, for the map. */
export const projectMap = z.strictObject({
  projects: z.array(project),
  total_projects: z.int().nonnegative(),
  projects_without_location: z.int().nonnegative(),
})

/** A page of the users that a search found. */
export const userPage = pageOf({ users: z.array(tinyUser) })

/** A page of the documents of projects. */
export const documentPage = pageOf({ documents: z.array(projectDocument) })
