import { expect } from 'chai'
import * as fc from 'fast-check'
import { openDatabase } from '../../db/database.ts'
import { install } from '../../db/event-log/index.ts'
import {
  compileRules,
  createLoader,
  type EntryStore,
  IncarnationTracker,
  type Redis,
} from '../../shared/cache/index.ts'
import { encodeValue } from '../../shared/cache/entry-store/cached-value.ts'
import {
  affiliations,
  areas,
  branches,
  businessAreas,
  catalog,
  createUserAccess,
  createUserByEmail,
  projectDetail,
  projectStatistics,
  staffList,
  staffProfile,
  staffProjects,
  userByEmailParams,
  userList,
  userListVariants,
  userMe,
  userProfile,
  userProjects,
  userTasks,
} from '../../shared/resources/index.ts'
import { sessionKeys } from '../../shared/session-key.ts'
import { buildDenseWorld } from '../resources/dense-world.ts'
import { createTestDatabase } from '../support/database.ts'
import { newPrefix, testRedisUrl } from '../support/invalidator.ts'
import { itLong, LONG } from '../support/long.ts'
import { ofAnyPrefix } from '../support/routed-client.ts'
import { openTestRedis, openTestStore, type TestRedis } from '../support/test-redis.ts'
import { until } from '../support/until.ts'
import { isUsable } from './engine.ts'
import { openRace, type Racers, StaleAnswer, type Track } from './race.ts'

const RUNS = LONG ? 5_000 : 20
const COMMAND_TIMEOUT_MS = 5_000
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

const switchCaretaker = () =>
  'update caretakers_caretaker set caretaker_id = 5 - caretaker_id where id = 393'
const endOrResumeCare = () =>
  `update caretakers_caretaker
   set end_date = case when end_date is null then '2001-01-01'::timestamptz end
   where id = 391`
const leaveOrTakeAddress = (n: number) =>
  `update users_user
   set email = case email when 'ada@spms.test' then 'n${n}@spms.test' else 'ada@spms.test' end
   where id = 1`
const addOrRemoveAreas = () =>
  `update projects_projectarea
   set areas = case when areas = '{}' then '{281}' else '{}' end::integer[]
   where id = 291`

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
    examples: [
      ...['1', '2'].map((user_id) => ({ params: { user_id }, variant: 'mine' })),
      { params: { user_id: '1' }, variant: 'rows' },
    ],
    writes: [retitle, renameArea, switchProject],
  },
  {
    resource: userProfile,
    examples: ['1', '3'].map((user_id) => ({ params: { user_id }, variant: 'full' })),
    writes: [
      rename,
      switchCaretaker,
      () => 'update projects_project set business_area_id = 283 - business_area_id where id = 231',
    ],
  },
  {
    resource: userMe,
    examples: ['1', '2'].map((user_id) => ({ params: { user_id }, variant: 'full' })),
    writes: [
      rename,
      switchCaretaker,
      (n) => `update contacts_usercontact set phone = '${n}' where id = 371`,
    ],
  },
  {
    resource: userList,
    examples: [...userListVariants]
      .filter((variant) => variant.includes('page=1&'))
      .map((variant) => ({ params: {}, variant })),
    writes: [
      rename,
      renameArea,
      () => 'update users_user set is_staff = not is_staff where id = 2',
      () => 'update projects_project set business_area_id = 283 - business_area_id where id = 231',
    ],
  },
  {
    resource: userTasks,
    examples: [
      { params: { user_id: '1' }, variant: 'documents' },
      { params: { user_id: '3' }, variant: 'endorsements' },
      { params: { user_id: '4' }, variant: 'requests' },
    ],
    writes: [
      retitle,
      renameArea,
      switchProject,
      () =>
        'update documents_endorsement set ae_endorsement_provided = not ae_endorsement_provided where id = 511',
      () =>
        `update adminoptions_admintask
         set secondary_users = case secondary_users when '[4]' then '[5]' else '[4]' end::jsonb
         where id = 305`,
    ],
  },
  {
    resource: projectDetail,
    examples: ['231', '232'].map((project_id) => ({ params: { project_id }, variant: 'full' })),
    writes: [
      retitle,
      rename,
      switchProject,
      (n) => `update documents_projectdocument set status = 'n${n}' where id = 444`,
      (n) => `update locations_area set name = 'n${n}' where id = 281`,
      endOrResumeCare,
    ],
  },
  {
    resource: projectStatistics,
    examples: [{ params: {}, variant: 'all' }],
    writes: [
      (n) => `update projects_project set year = ${n} where id = 233`,
      renameArea,
      addOrRemoveAreas,
    ],
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
    resource: affiliations,
    examples: [{ params: {}, variant: 'all' }],
    writes: [(n) => `update agencies_affiliation set name = 'n${n}' where id = 271`],
  },
  {
    resource: areas,
    examples: ['all', 'dbcaregion'].map((variant) => ({ params: {}, variant })),
    writes: [(n) => `update locations_area set name = 'n${n}' where id = 281`],
  },
  {
    resource: createUserAccess(SECRETS),
    examples: keyIds.map((variant) => ({ params: { user_id: '1' }, variant })),
    writes: [
      () => 'update users_user set is_staff = not is_staff where id = 1',
      (n) => `update users_user set password = 'n${n}' where id = 1`,
    ],
  },
  {
    resource: createUserByEmail(SECRETS),
    examples: ['ada', 'ben'].map((name) => ({
      params: userByEmailParams(`${name}@spms.test`),
      variant: keyIds[0] ?? '',
    })),
    writes: [leaveOrTakeAddress],
  },
]

// Random interleavings of reads, loads, fills, commits and invalidations, with delayed replies.
describe('races between readers, writers and the invalidator', function () {
  this.timeout(LONG ? 3_600_000 : 180_000)

  const closers: (() => unknown)[] = []
  let redis: Redis
  let tracks: readonly Track[]

  before(async () => {
    ;({ redis } = connect(newPrefix()))
    const stores = [openStore(), openStore()]
    for (const store of stores) {
      closers.push(() => store[Symbol.dispose]())
      await until(() => isUsable(store))
    }
    tracks = await Promise.all(all.map(() => openTrack(stores)))
  })

  after(async () => {
    for (const close of closers.toReversed()) await close()
  })

  it('cover every resource', () => {
    expect(all.map(({ resource }) => resource.name)).to.have.members(catalog.map((it) => it.name))
  })

  it('never return or store an answer older than the last applied change', async () => {
    const results = await check((track) => track)
    for (const [index, result] of results.entries()) {
      const report = await fc.asyncDefaultReportMessage(result)
      expect(result.failed, `${all[index]?.resource.name}: ${report}`).to.equal(false)
    }
  })

  itLong('return stale answers for every resource when the lease check is disabled', async () => {
    const results = await check((track) => ({ ...track, stores: track.stores.map(fillAnyway) }))
    for (const [index, { errorInstance }] of results.entries()) {
      expect(errorInstance, all[index]?.resource.name).to.be.instanceOf(StaleAnswer)
    }
  })

  /** Runs the races of all resources concurrently, each until it fails. */
  const check = (change: (track: Track) => Track) =>
    Promise.all(
      all.map(async (racers, index) => {
        await using race = await openRace(change(tracks[index] as Track), racers)
        // Without `await`, the race would be closed before it runs.
        return await fc.check(
          fc.asyncProperty(schedules, (picks) => race.run(picks)),
          {
            numRuns: RUNS,
            seed: SEED,
            endOnFailure: true,
          },
        )
      }),
    )

  function fillAnyway(store: EntryStore): EntryStore {
    return {
      ...store,
      async fill({ key, variant }, _token, cached, keepMs) {
        await redis.hset(key, variant, encodeValue(cached))
        await redis.pexpire(key, Math.ceil(keepMs))
        return 'stored'
      },
    }
  }

  function connect(prefix: string): TestRedis {
    const opened = openTestRedis(testRedisUrl(), prefix, { commandTimeoutMs: COMMAND_TIMEOUT_MS })
    closers.push(() => opened.redis.disconnect())
    return opened
  }

  /** Opens a store that polls a prefix without watermarks, and stores entries of all prefixes. */
  function openStore(): EntryStore & Disposable {
    const prefix = newPrefix()
    const { redis, buckets } = connect(prefix)
    const opened = { redis, buckets: ofAnyPrefix(buckets) }
    return openTestStore(opened, { prefix, commandTimeoutMs: COMMAND_TIMEOUT_MS })
  }

  async function openTrack(stores: readonly EntryStore[]): Promise<Track> {
    const database = await createTestDatabase()
    closers.push(() => database[Symbol.asyncDispose]())
    const databaseUrl = database.url
    const db = openDatabase({ url: databaseUrl, poolSize: 4, applicationName: 'race' })
    closers.push(() => db.destroy())
    await buildDenseWorld(db)
    await install(databaseUrl, compileRules(catalog))
    const incarnationTracker = new IncarnationTracker()
    const loader = createLoader(db, { concurrency: 4, queue: 100, incarnationTracker })
    return { databaseUrl, db, loader, incarnationTracker, stores }
  }
})

/** Most schedules are long enough to complete; the others are drained afterwards. */
const schedules = fc.array(fc.record({ stay: fc.boolean(), who: fc.nat(), how: fc.nat() }), {
  minLength: 10,
  maxLength: 50,
})
