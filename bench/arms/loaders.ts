import { openDatabase } from '../../db/database.ts'
import { findStaffProfile } from '../../db/queries/staff-profile.ts'
import { findOwnProjects } from '../../db/queries/tiny-projects.ts'

/** Loads the two measured responses from Postgres, with the queries of the API. */
export interface Loaders {
  profile(id: string): Promise<unknown>
  projects(userId: string): Promise<unknown>
}

/** The connections for reads that one API process has by default. */
const CONNECTIONS = 9

/** Opens the loaders of the measured caches, which store values and not bytes. */
export function openLoaders(url: string): Loaders {
  const db = openDatabase({ url, poolSize: CONNECTIONS, applicationName: 'spms-bench-loader' })
  return {
    profile: async (id) => parse(await findStaffProfile(db, id, 'full')),
    projects: async (userId) => parse(await findOwnProjects(db, userId)),
  }
}

const parse = (text: string | null): unknown => JSON.parse(text ?? 'null')
