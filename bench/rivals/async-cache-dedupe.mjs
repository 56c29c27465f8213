import { createCache } from 'async-cache-dedupe'
import Fastify from 'fastify'
import { Redis } from 'ioredis'
import { loadProfile, loadProjects } from './loads.mjs'
import { port, PROFILE_PATH, PROJECTS_PATH, redisUrl, ttlS } from './settings.mjs'

const client = new Redis(redisUrl)
client.on('error', (error) => console.error(error))
const cache = createCache({
  ttl: ttlS,
  storage: { type: 'redis', options: { client } },
  onError: (error) => console.error(error),
})
cache.define('profile', loadProfile)
cache.define('projects', loadProjects)

const app = Fastify()
app.get(PROFILE_PATH, (request) => cache.profile(request.params.id))
app.get(PROJECTS_PATH, () => cache.projects())
await app.listen({ port, host: '127.0.0.1' })
