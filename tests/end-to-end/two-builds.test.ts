import { readFile } from 'node:fs/promises'
import { expect } from 'chai'
import { sql as query } from 'kysely'
import { Client } from 'pg'
import {
  includes,
  install,
  parseSnapshot,
  retireOthers,
  type Snapshot,
} from '../../db/event-log/index.ts'
import { compileRules } from '../../shared/cache/index.ts'
import { branches, staffProfile } from '../../shared/resources/index.ts'
import { type Build, type BuildApi, defineBuild } from '../support/build.ts'
import { createTestDatabase, type TestDatabase } from '../support/database.ts'
import { newPrefix, type TestInvalidator } from '../support/invalidator.ts'
import { LONG } from '../support/long.ts'
import { repeat, type Repetition } from '../support/repeat.ts'
import { until } from '../support/until.ts'
import { sessionOf } from './warm/questions.ts'
import type { Resource } from '../../shared/resources/cache.ts'

const ROUNDS = LONG ? 12 : 1
const BOUND_MS = 5_000
/** Interval at which an API polls watermarks. */
const POLL_MS = 250
const WRITERS = 3
const WORLD = new URL('warm/world.sql', import.meta.url)

/** A resource that watches a column that the newer build does not watch. */
const olderProfile: Resource = {
  ...staffProfile,
  staleWhen: [
    ...staffProfile.staleWhen,
    {
      table: 'users_publicstaffprofile',
      watch: ['employee_id'],
      key: { profile_id: 'id' },
    },
  ],
}
/** A resource that shows one more column. */
const newerProfile: Resource = {
  ...staffProfile,
  version: 2,
  staleWhen: [
    ...staffProfile.staleWhen,
    { table: 'users_publicstaffprofile', watch: ['aucode'], key: { profile_id: 'id' } },
  ],
  async load(trx, params, variant) {
    const found = await staffProfile.load(trx, params, variant)
    if (found === null) return null
    const { rows } = await query<{ aucode: string | null }>`
      select aucode from users_publicstaffprofile where id = ${params['profile_id']}`.execute(trx)
    return { ...found, body: JSON.stringify({ ...JSON.parse(found.body), ...rows[0] }) }
  },
}
const newerBranches: Resource = { ...branches, version: 2 }

/** Profiles that are written continuously. */
const PROFILES = [101, 102, 103, 104]
const pathOf = (profile: number) => `users/staffprofiles/${profile}/hero`
/** Paths that no installation and no write of this test affects. */
const UNTOUCHED = ['locations/list', 'agencies/affiliations', 'agencies/business_areas']
/** Paths of resources that have another version in the newer build. */
const CHANGED = [pathOf(110), 'agencies/branches']
/** Other paths that depend on the written tables. */
const AFFECTED = ['users/staffprofiles', 'users/15/projects_staff_profile', 'users/15', 'users/me']

type Name = 'older' | 'newer'

const ORDERS = LONG ? (['API', 'invalidator'] as const) : (['API'] as const)
for (const order of ORDERS) {
  describe(`two builds at once under writes, with the newer ${order} started first`, function () {
    this.timeout(60_000 + ROUNDS * 20_000)

    let database: TestDatabase
    let sql: Client
    let session: Record<string, string>
    let builds: Record<Name, Build>
    const apis = new Map<Name, BuildApi>()
    const invalidators = new Map<Name, TestInvalidator>()

    before(async () => {
      database = await createTestDatabase()
      sql = new Client({ connectionString: database.url })
      sql.on('error', () => {})
      await sql.connect()
      await sql.query(await readFile(WORLD, 'utf8'))
      session = await sessionOf(16)
      const common = { databaseUrl: database.url, prefix: newPrefix(), maxStalenessMs: BOUND_MS }
      builds = {
        older: defineBuild({ ...common, changed: [olderProfile] }),
        newer: defineBuild({ ...common, changed: [newerProfile, newerBranches] }),
      }
      await installFor('older')
    })
    after(async () => {
      for (const one of [...apis.values(), ...invalidators.values()]) {
        await one[Symbol.asyncDispose]()
      }
      await sql.end()
      await database[Symbol.asyncDispose]()
    })

    const rulesOf = (name: Name) => compileRules(builds[name].catalog)
    const installFor = (name: Name) => install(database.url, rulesOf(name))

    async function startInvalidator(name: Name): Promise<void> {
      invalidators.set(name, await builds[name].startInvalidator())
    }
    async function stopInvalidator(name: Name): Promise<void> {
      await invalidators.get(name)?.[Symbol.asyncDispose]()
      invalidators.delete(name)
    }
    async function startApi(name: Name): Promise<void> {
      const api = await builds[name].startApi()
      await until(
        async () => !(await api.get('agencies/branches', session)).cache.includes('redis'),
      )
      apis.set(name, api)
    }

    /** Returns the transaction that last changed each trigger and function of schema `invalidation`. */
    async function touches(): Promise<unknown> {
      const { rows } = await sql.query(
        `select 'trigger ' || oid as what, xmin::text from pg_trigger where tgname like 'zz\\_%'
         union all select 'function ' || oid, xmin::text from pg_proc
           where pronamespace = 'invalidation'::regnamespace
         order by 1`,
      )
      return rows
    }

    /** The first failure of a writer or reader. `unlessFailed` throws it instead of waiting forever. */
    let failure: unknown
    const repeatUntilFailed: typeof repeat = (work) =>
      repeat((round) =>
        work(round).catch((error: unknown) => {
          failure ??= error
          throw error
        }),
      )
    const unlessFailed = (condition: () => boolean | Promise<boolean>) =>
      until(() => {
        if (failure !== undefined) throw failure
        return condition()
      })

    // --- Writers and readers ---

    /** The values of each profile in commit order, with the time after the commit. */
    const histories = new Map(
      PROFILES.map((id) => [id, [] as { readonly n: number; readonly sinceMs: number }[]]),
    )
    let written = 0

    function startWriting(): Repetition[] {
      return Array.from({ length: WRITERS }, (_, writer) => {
        const client = new Client({ connectionString: database.url })
        client.on('error', () => {})
        const connected = client.connect()
        const mine = PROFILES.filter((_, at) => at % WRITERS === writer)
        const work = repeatUntilFailed(async (round) => {
          await connected
          const id = mine[round % mine.length] as number
          const n = ++written
          await client.query('begin')
          await client.query(
            `update users_publicstaffprofile
             set about = $1::text, aucode = $1::text, employee_id = $1::text where id = $2`,
            [`${n}`, id],
          )
          // Rarely, so that these entries are cached in between.
          if (round % 40 === 0) {
            await client.query('update users_user set display_first_name = $1 where id = 15', [
              `${n}`,
            ])
            await client.query('update agencies_branch set name = $1 where id = 421', [`${n}`])
          }
          await client.query(round % 5 === 0 ? 'rollback' : 'commit')
          if (round % 5 !== 0) histories.get(id)?.push({ n, sinceMs: performance.now() })
        })
        const stop = async () => {
          const rounds = await work.stop()
          await client.end()
          return rounds
        }
        return { stop, [Symbol.asyncDispose]: async () => void (await stop()) }
      })
    }

    let stalestMs = 0
    async function readProfile(name: Name, id: number): Promise<void> {
      const askedAtMs = performance.now()
      const { text } = await (apis.get(name) as BuildApi).get(pathOf(id))
      const shown = JSON.parse(text) as { about: string; aucode?: string }
      // No API serves a value of the other build, or a mixture.
      expect('aucode' in shown).to.equal(name === 'newer')
      if (name === 'newer') expect(shown.aucode).to.equal(shown.about)
      const history = histories.get(id) ?? []
      const at = history.findIndex(({ n }) => `${n}` === shown.about)
      // A value that is not in the history was written during the request.
      const next = at < 0 ? undefined : history[at + 1]
      if (next === undefined) return
      stalestMs = Math.max(stalestMs, askedAtMs - next.sinceMs)
    }

    /** Reads the paths that nothing affects. Every answer must be a cache hit. */
    async function readUntouched(name: Name): Promise<void> {
      for (const path of UNTOUCHED) {
        const { cache } = await (apis.get(name) as BuildApi).get(path, session)
        expect(cache, `${path} by the ${name} API`).to.match(/^hit; /)
      }
    }

    const startReading = () =>
      repeatUntilFailed(async (round) => {
        for (const name of apis.keys()) {
          await readProfile(name, PROFILES[round % PROFILES.length] as number)
          await readUntouched(name)
        }
      })

    // --- Checks ---

    async function snapshotNow(): Promise<Snapshot> {
      const { rows } = await sql.query<{ text: string }>(
        'select pg_current_snapshot()::text as text',
      )
      return parseSnapshot(rows[0]?.text ?? '') as Snapshot
    }

    /** Runs writers and readers during `act`, then compares all answers with Postgres. */
    async function during(act: () => Promise<unknown>): Promise<void> {
      const writing = startWriting()
      const reading = startReading()
      try {
        await act()
        const enough = written + 30
        await unlessFailed(() => written > enough)
      } finally {
        for (const one of writing) await one.stop()
        await reading.stop()
      }
      await expectCorrectAnswers()
    }

    /** Waits until each API has polled watermarks that include all commits. Then compares with Postgres. */
    async function expectCorrectAnswers(): Promise<void> {
      const now = await snapshotNow()
      for (const [name, api] of apis) {
        await unlessFailed(() =>
          builds[name].catalog.every((resource) => {
            const mark = api.seen(resource.name)
            return mark !== null && includes(mark.snapshot, now)
          }),
        )
        for (const path of [...PROFILES.map(pathOf), ...UNTOUCHED, ...CHANGED, ...AFFECTED]) {
          const { text, cache } = await api.get(path, session)
          expect(text, `${path} by the ${name} API: ${cache}`).to.equal(
            await api.getFresh(path, session),
          )
        }
      }
    }

    /** Waits until an API returns this cache status for all resources that differ between the builds. */
    const untilCached = (name: Name, expected: RegExp) =>
      unlessFailed(async () => {
        const api = apis.get(name) as BuildApi
        const replies = await Promise.all(CHANGED.map((path) => api.get(path, session)))
        return replies.every(({ cache }) => expected.test(cache))
      })
    const VERSION = /^fwd=bypass; detail=version$/
    const HIT = /^hit; /

    it('serve no stale values, keep cache hits for equal resources, and change triggers only by install', async () => {
      await startInvalidator('older')
      await startApi('older')
      await warm('older')
      await during(() => untilCached('older', HIT))
      const before = await touches()

      if (order === 'API') {
        await during(async () => {
          await startApi('newer')
          await untilCached('newer', VERSION)
          await untilCached('older', HIT)
        })
      } else {
        // Its triggers are not installed yet, so it disables the resources that need them.
        await during(async () => {
          await startInvalidator('newer')
          await stopInvalidator('older')
          await waitUntilDisabled()
          await startInvalidator('older')
        })
      }
      expect(await touches(), 'only install changes triggers').to.eql(before)

      await during(() => installFor('newer'))
      const both = await touches()
      expect(both).not.to.eql(before)

      await during(async () => {
        if (!apis.has('newer')) await startApi('newer')
        if (!invalidators.has('newer')) await startInvalidator('newer')
      })
      for (let round = 0; round < ROUNDS; round++) {
        await during(async () => {
          await stopInvalidator('older')
          await untilCached('newer', HIT)
          await untilCached('older', VERSION)
        })
        await during(() => startInvalidator('older'))
        await during(async () => {
          await stopInvalidator('newer')
          await untilCached('older', HIT)
          await untilCached('newer', VERSION)
        })
        await during(() => startInvalidator('newer'))
      }
      expect((await installFor('older')).changed).to.eql([])
      expect((await installFor('newer')).changed).to.eql([])
      expect(await touches(), 'the builds do not change triggers').to.eql(both)

      await stopInvalidator('older')
      let report
      await during(async () => {
        report = await retireOthers(database.url, rulesOf('newer'), POLL_MS)
      })
      expect(report).to.deep.include({ retired: 1, changed: ['users_publicstaffprofile'] })
      const retired = await touches()
      await during(async () => {
        await untilCached('newer', HIT)
        await untilCached('older', VERSION)
      })
      // An old invalidator that is started again has no effect.
      await during(() => startInvalidator('older'))
      await during(() => stopInvalidator('older'))
      await during(() => untilCached('newer', HIT))
      expect(await touches()).to.eql(retired)
      expect(stalestMs).to.be.below(BOUND_MS + POLL_MS)
    })

    async function warm(name: Name): Promise<void> {
      await unlessFailed(async () => {
        const api = apis.get(name) as BuildApi
        const replies = await Promise.all(UNTOUCHED.map((path) => api.get(path, session)))
        return replies.every(({ cache }) => HIT.test(cache))
      })
    }

    /** Waits until the newer invalidator has disabled the profiles. */
    async function waitUntilDisabled(): Promise<void> {
      const api = apis.get('older') as BuildApi
      await unlessFailed(async () =>
        (await api.get(pathOf(110), session)).cache.endsWith('detail=triggers'),
      )
    }
  })
}
