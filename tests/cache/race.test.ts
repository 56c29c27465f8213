import { randomBytes } from 'node:crypto'
import { expect } from 'chai'
import * as fc from 'fast-check'
import { openDatabase } from '../../db/database.ts'
import { install } from '../../db/event-log/install.ts'
import { openWorkerSession } from '../../db/event-log/session.ts'
import { createWorker } from '../../invalidator/worker.ts'
import { compileRules } from '../../shared/cache/compile.ts'
import { encodeFrame } from '../../shared/cache/frame.ts'
import { createLedger } from '../../shared/cache/ledger.ts'
import { createLoader } from '../../shared/cache/loader.ts'
import { createRedisStore, type EntryStore } from '../../shared/cache/store.ts'
import { createLogger } from '../../shared/logger.ts'
import { createMetrics } from '../../shared/metrics.ts'
import { openRedis, type Redis } from '../../shared/redis.ts'
import {
  branches,
  businessAreas,
  catalog,
  createUserAccess,
  staffList,
  staffProfile,
  staffProjects,
  userProjects,
} from '../../shared/resources/index.ts'
import { sessionKeys } from '../../shared/session-key.ts'
import { buildDenseWorld } from '../resources/dense-world.ts'
import { createTestDatabase } from '../support/database.ts'
import { until } from '../support/until.ts'
import { isUsable, testRedisUrl } from './engine.ts'
import { createRace, type Racers, StaleAnswer, type Track } from './race.ts'

const RUNS = Number(process.env.RUNS ?? 400)
/** In so many schedules a store without leases is caught. */
const CONTROL_RUNS = 400
const SEED = 20_261_122

const SECRETS = ['a secret of thirty-two characters']
const keyIds = sessionKeys(SECRETS).map(({ id }) => id)

const about = (n: number) => `update users_publicstaffprofile set about = 'n${n}' where id = 181`
const hide = () => 'update users_publicstaffprofile set is_hidden = not is_hidden where id = 182'
const rename = (n: number) => `update users_user set display_last_name = 'n${n}' where id = 1`
const renameArea = (n: number) => `update agencies_businessarea set name = 'n${n}' where id = 141`
const retitle = (n: number) => `update projects_project set title = 'n${n}' where id = 231`
const switchProject = () =>
  'update projects_projectmember set project_id = 465 - project_id where id = 253'

const all: readonly Racers[] = [
  {
    resource: staffList,
    examples: [
      { params: {}, variant: 'page=1' },
      { params: {}, variant: 'business_area=141;page=1' },
    ],
    writes: [about, hide, rename, renameArea],
  },
  {
    resource: staffProfile,
    examples: [
      { params: { profile_id: '181' }, variant: 'full' },
      { params: { profile_id: '182' }, variant: 'hero' },
    ],
    writes: [
      about,
      hide,
      rename,
      (n) => `update users_keywordtag set name = 'n${n}' where id = 191`,
    ],
  },
  {
    resource: staffProjects,
    examples: ['1', '2'].map((user_id) => ({ params: { user_id }, variant: 'rows' })),
    writes: [retitle, hide, switchProject],
  },
  {
    resource: userProjects,
    examples: ['1', '2'].map((user_id) => ({ params: { user_id }, variant: 'mine' })),
    writes: [retitle, renameArea, switchProject],
  },
  {
    resource: branches,
    examples: [{ params: {}, variant: 'all' }],
    writes: [(n) => `update agencies_branch set name = 'n${n}' where id = 111`],
  },
  {
    resource: businessAreas,
    examples: [{ params: {}, variant: 'all' }],
    writes: [
      renameArea,
      rename,
      (n) => `update agencies_division set name = 'n${n}' where id = 121`,
    ],
  },
  {
    resource: createUserAccess(SECRETS),
    examples: keyIds.map((variant) => ({ params: { user_id: '1' }, variant })),
    writes: [
      () => 'update users_user set is_staff = not is_staff where id = 1',
      (n) => `update users_user set password = 'n${n}' where id = 1`,
    ],
  },
]

// Whoever reads, loads, fills, commits and invalidates, in whatever order, and whatever comes late.
describe('races', function () {
  this.timeout(process.env.SPMS_LONG ? 3_600_000 : 180_000)

  const closers: (() => unknown)[] = []
  let track: Track
  let redis: Redis

  before(async () => {
    const database = await createTestDatabase()
    closers.push(() => database[Symbol.asyncDispose]())
    const { url } = database
    const db = openDatabase({ url, poolSize: 8, applicationName: 'race' })
    closers.push(() => db.destroy())
    await buildDenseWorld(db)
    await install(url, compileRules(catalog))
    const session = await openWorkerSession({
      url,
      applicationName: 'race-worker',
      statementTimeoutMs: 10_000,
    })
    closers.push(() => session[Symbol.asyncDispose]())

    const connect = () => {
      const client = openRedis(testRedisUrl(), {
        name: 'race',
        commandTimeoutMs: 5_000,
        onState: () => {},
      })
      closers.push(() => client.disconnect())
      return client
    }
    redis = connect()
    const stores = [connect(), connect()].map((client) =>
      createRedisStore(client, { commandTimeoutMs: 5_000 }),
    )
    for (const store of stores) {
      closers.push(() => store[Symbol.dispose]())
      await until(() => isUsable(store))
    }

    const prefix = `race-${randomBytes(6).toString('hex')}`
    const ledger = createLedger(redis, prefix)
    closers.push(() => redis.unlink(`${prefix}:watermark`))
    const logger = createLogger('race')
    logger.silent = true
    const metrics = createMetrics()
    track = {
      db,
      redis,
      prefix,
      stores,
      loader: createLoader(db, { concurrency: 8, queue: 100 }),
      createWorker: (resource, wrap) =>
        createWorker({
          session,
          ledger: wrap(ledger),
          catalog: [resource],
          prefix,
          metrics,
          logger,
        }),
    }
  })

  after(async () => {
    for (const close of closers.toReversed()) await close()
  })

  it('are run for every resource', () => {
    expect(all.map(({ resource }) => resource.name)).to.have.members(catalog.map((it) => it.name))
  })

  const schedules = fc.array(fc.nat(), { minLength: 10, maxLength: 40 })

  for (const racers of all) {
    describe(`for ${racers.resource.name}`, () => {
      it('never answer or leave behind what is older than an applied change', async () => {
        const race = createRace(track, racers)
        await fc.assert(fc.asyncProperty(schedules, race), { numRuns: RUNS, seed: SEED })
      })

      it('are lost by a store that fills without a lease', async () => {
        const race = createRace({ ...track, stores: track.stores.map(trusting) }, racers)
        const { failed, errorInstance } = await fc.check(fc.asyncProperty(schedules, race), {
          numRuns: CONTROL_RUNS,
          seed: SEED,
          endOnFailure: true,
        })
        expect(failed).to.equal(true)
        expect(errorInstance).to.be.instanceOf(StaleAnswer)
      })
    })
  }

  /** A store whose check of the lease always agrees. */
  function trusting(store: EntryStore): EntryStore {
    return {
      ...store,
      async fill({ key, variant }, _token, frame, keepMs) {
        await redis.hset(key, variant, encodeFrame(frame))
        await redis.pexpire(key, Math.ceil(keepMs))
        return 'stored'
      },
    }
  }
})
