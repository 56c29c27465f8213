import KeyvRedis from '@keyv/redis'
import { createCache } from 'cache-manager'
import { Keyv } from 'keyv'
import { loadProfile, loadProjects } from './loads.mjs'
import { serveExpress } from './serve-express.mjs'
import { redisUrl, ttlS } from './settings.mjs'

const store = new Keyv({ store: new KeyvRedis(redisUrl) })
store.on('error', (error) => console.error(error))
const cache = createCache({ stores: [store], ttl: ttlS * 1000 })
serveExpress({
  findProfile: (id) => cache.wrap(`profile:${id}`, () => loadProfile(id)),
  findProjects: () => cache.wrap('projects', loadProjects),
})
