import { createServer } from 'node:http'

const { DATABASE_URL, LOADERS, METRICS_PORT, USER_ID } = process.env
/** @type {{ openLoaders(url: string): import('../arms/loaders.ts').Loaders }} */
const { openLoaders } = await import(LOADERS)
const loaders = openLoaders(DATABASE_URL)
let loads = 0

/** Loads a profile from Postgres. */
export function loadProfile(id) {
  loads++
  return loaders.profile(id)
}

/** Loads the projects of one user from Postgres. */
export function loadProjects() {
  loads++
  return loaders.projects(USER_ID)
}

// The same path and format as the metrics of the API.
createServer((_req, res) => res.end(`bench_loads_total ${loads}\n`)).listen(
  Number(METRICS_PORT),
  '127.0.0.1',
)
