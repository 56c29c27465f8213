import { readFile } from 'node:fs/promises'
import { expect } from 'chai'
import { sql as query } from 'kysely'
import { Client } from 'pg'
import { install } from '../../db/event-log/install.ts'
import { retireOthers } from '../../db/event-log/retire.ts'
import { includes, parseSnapshot, type Snapshot } from '../../db/event-log/snapshot.ts'
import { compileRules } from '../../shared/cache/compile.ts'
import type { Resource } from '../../shared/cache/resource.ts'
import { branches, staffProfile } from '../../shared/resources/index.ts'
import { type Build, type BuildApi, defineBuild } from '../support/build.ts'
import { createTestDatabase, type TestDatabase } from '../support/database.ts'
import { newPrefix, type TestInvalidator } from '../support/invalidator.ts'
import { repeat, type Repetition } from '../support/repeat.ts'
import { until } from '../support/until.ts'
import { sessionOf } from './warm/questions.ts'

const ROUNDS = process.env.SPMS_LONG === '1' ? 12 : 1
const BOUND_MS = 5_000
/** What an API sees of a watermark may be so old. */
const POLL_MS = 250
const WRITERS = 3
const WORLD = new URL('warm/world.sql', import.meta.url)

/** Watches a column that the newer build does not. */
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
/** Shows one more column. */
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

/** Profiles that are written all the time. */
const PROFILES = [101, 102, 103, 104]
const pathOf = (profile: number) => `users/staffprofiles/${profile}/hero`
/** What no installation and no write here has to do with. */
const UNTOUCHED = ['locations/list', 'agencies/affiliations', 'agencies/business_areas']
/** What is in another version for the newer build. */
const CHANGED = [pathOf(110), 'agencies/branches']
/** What depends on the written tables, too. */
const AFFECTED = ['users/staffprofiles', 'users/15/projects_staff_profile', 'users/15', 'users/me']

type Name = 'older' | 'newer'

for (const order of ['API', 'invalidator'] as const) {
  describe(`two builds at once under writes, the newer ${order} first`, function () {
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

    /** Which transaction last touched each trigger and function of ours. */
    async function touches(): Promise<unknown> {
      const { rows } = await sql.query(
        `select 'trigger ' || oid as what, xmin::text from pg_trigger where tgname like 'zz\\_%'
         union all select 'function ' || oid, xmin::text from pg_proc
           where pronamespace = 'invalidation'::regnamespace
         order by 1`,
      )
      return rows
    }

    /** What a writer or reader met; whoever waits meanwhile would wait in vain. */
    let failure: unknown
    const repeatReceived: typeof repeat = (work) =>
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

    // --- What is written, and how old what is read may be ---

    /** Of each profile which number it had from when; in the order of its commits. */
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
        const work = repeatReceived(async (round) => {
          await connected
          const id = mine[round % mine.length] as number
          const n = ++written
          await client.query('begin')
          await client.query(
            `update users_publicstaffprofile
             set about = $1::text, aucode = $1::text, employee_id = $1::text where id = $2`,
            [`${n}`, id],
          )
          // Seldom, so that it is found in the cache in between.
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
      // Nobody is ever given what the other build has made, or a half of it.
      expect('aucode' in shown).to.equal(name === 'newer')
      if (name === 'newer') expect(shown.aucode).to.equal(shown.about)
      const history = histories.get(id) ?? []
      const at = history.findIndex(({ n }) => `${n}` === shown.about)
      // A value that is not in the history was written while this was asked for.
      const next = at < 0 ? undefined : history[at + 1]
      if (next === undefined) return
      stalestMs = Math.max(stalestMs, askedAtMs - next.sinceMs)
    }

    /** Reads what nobody writes and no installation touches: of that every answer has to be a hit. */
    async function readUntouched(name: Name): Promise<void> {
      for (const path of UNTOUCHED) {
        const { cache } = await (apis.get(name) as BuildApi).get(path, session)
        expect(cache, `${path} by the ${name} API`).to.match(/^hit; /)
      }
    }

    const startReading = () =>
      repeatReceived(async (round) => {
        for (const name of apis.keys()) {
          await readProfile(name, PROFILES[round % PROFILES.length] as number)
          await readUntouched(name)
        }
      })

    // --- What has to hold whenever one looks ---

    async function snapshotNow(): Promise<Snapshot> {
      const { rows } = await sql.query<{ text: string }>(
        'select pg_current_snapshot()::text as text',
      )
      return parseSnapshot(rows[0]?.text ?? '') as Snapshot
    }

    /** Writes and reads for a while through what happens, and then compares everything with Postgres. */
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
      await isRight()
    }

    /** Once an API has seen that all is applied, each answer is what Postgres says. */
    async function isRight(): Promise<void> {
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

    /** Waits until this is what both APIs say of what differs between them. */
    const untilCached = (name: Name, expected: RegExp) =>
      unlessFailed(async () => {
        const api = apis.get(name) as BuildApi
        const replies = await Promise.all(CHANGED.map((path) => api.get(path, session)))
        return replies.every(({ cache }) => expected.test(cache))
      })
    const VERSION = /^fwd=bypass; detail=version$/
    const HIT = /^hit; /

    it('shows nothing stale to either, keeps hitting what is the same, and changes triggers once', async () => {
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
        // Nothing is installed for it yet: it says of what it cannot hear that nobody may keep it.
        await during(async () => {
          await startInvalidator('newer')
          await stopInvalidator('older')
          await waitUntilDisabled()
          await startInvalidator('older')
        })
      }
      expect(await touches(), 'nobody but install changes triggers').to.eql(before)

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
      expect(await touches(), 'nobody fights over the triggers').to.eql(both)

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
      // A straggler that is started once more harms nobody.
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

    /** Waits until the newer invalidator has all, and says of the profiles that none may be kept. */
    async function waitUntilDisabled(): Promise<void> {
      const api = apis.get('older') as BuildApi
      await unlessFailed(async () =>
        (await api.get(pathOf(110), session)).cache.endsWith('detail=triggers'),
      )
    }
  })
}
