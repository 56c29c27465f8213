import { BentoCache, bentostore } from 'bentocache'
import { memoryDriver } from 'bentocache/drivers/memory'
import { redisBusDriver, redisDriver } from 'bentocache/drivers/redis'
import { Redis } from 'ioredis'
import { loadProfile, loadProjects } from './loads.mjs'
import { serveExpress } from './serve-express.mjs'
import { redisUrl, ttlS } from './settings.mjs'

const { STORE } = process.env
const { hostname: host, port } = new URL(redisUrl)
const connection = { host, port: Number(port) }
const redis = new Redis(connection)
redis.on('error', (error) => console.error(error))
const inRedis = redisDriver({ connection: redis })
const stores = {
  redis: () => bentostore().useL2Layer(inRedis),
  multitier: () =>
    bentostore()
      .useL1Layer(memoryDriver({ maxSize: '10mb' }))
      .useL2Layer(inRedis)
      .useBus(redisBusDriver({ connection })),
}
const cache = new BentoCache({
  default: 'cache',
  // The two stores are measured with the same Redis.
  prefix: STORE,
  ttl: ttlS * 1000,
  stores: { cache: stores[STORE]() },
})
serveExpress({
  findProfile: (id) => cache.getOrSet({ key: `profile:${id}`, factory: () => loadProfile(id) }),
  findProjects: () => cache.getOrSet({ key: 'projects', factory: loadProjects }),
})
