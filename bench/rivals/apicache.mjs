import apicache from 'apicache'
import { loadProfile, loadProjects } from './loads.mjs'
import { serveExpress } from './serve-express.mjs'
import { ttlS } from './settings.mjs'

// Its middleware stores the response in the memory of the process.
serveExpress(
  { findProfile: loadProfile, findProjects: loadProjects },
  apicache.middleware(`${ttlS} seconds`),
)
