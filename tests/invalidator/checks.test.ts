import { randomUUID } from 'node:crypto'
import { expect } from 'chai'
import { includes, parseSnapshot, type Snapshot } from '../../db/event-log/index.ts'
import {
  createInvalidationStore,
  decodeWatermark,
  type Redis,
  watermarkKey,
} from '../../shared/cache/index.ts'
import type { EventLog } from '../event-log/event-log.ts'
import {
  newPrefix,
  openWorker,
  testRedisUrl,
  type TestInvalidatorOptions,
  type TestWorker,
  type WrapStore,
} from '../support/invalidator.ts'
import { rewriteScripts, rewriteSql, type Rewriting } from '../support/rewritten.ts'
import { openTestRedis, untilReady } from '../support/test-redis.ts'
import { until } from '../support/until.ts'
import { bird, BIRDS, type Entries, entriesOf, openBirds } from './birds.ts'

/** A worker and one entry that becomes stale. */
interface Stage extends TestWorker, Entries {
  readonly stale: string
  /** Applies windows until the watermark includes everything that has been committed by now. */
  apply(): Promise<void>
}

// For every check: with the check disabled, the stale entry must be served.
describe('a stale entry is served', () => {
  let log: EventLog

  async function openLog(): Promise<void> {
    log = await openBirds()
    await write(`insert into bird values (1, 'wren', 9, '{}', 2)`)
  }
  beforeEach(openLog)
  afterEach(() => log[Symbol.asyncDispose]())

  const write = (sql: string) => log.client.query(sql)
  /** Renames the bird; each call needs a new name. */
  const rename = (name: string) => write(`update bird set name = '${name}' where id = 1`)

  const checks: readonly {
    readonly check: string
    readonly rewriting: (incarnation: string) => Rewriting
    /** Makes the entry stale. */
    readonly act: (stage: Stage) => Promise<unknown>
  }[] = [
    {
      check: 'transactions in progress in the previous snapshot',
      rewriting: () => ({
        part: 'where pg_visible_in_snapshot(x, pg_current_snapshot())',
        by: 'where false',
      }),
      async act({ apply, put, stale }) {
        const long = await log.connect()
        await long.query(`begin; update bird set name = 'long' where id = 1`)
        await write('insert into nest values (9)')
        await apply()
        await put([stale])
        await long.query('commit')
      },
    },
    {
      check: 'transactions that began after the previous snapshot',
      rewriting: () => ({ part: 'xid >= $1::xid8', by: 'xid >= $1::xid8 and false' }),
      async act({ put, stale }) {
        await put([stale])
        await rename('after')
      },
    },
    {
      check: 'the incarnation of the database',
      rewriting: (incarnation) => ({
        part: `'incarnation', id,`,
        by: `'incarnation', '${incarnation}',`,
      }),
      async act({ put, stale }) {
        // The entry contains a commit that the crash undid, for which no event exists.
        await put([stale])
        await write(`update invalidation.incarnation set id = '${randomUUID()}'`)
      },
    },
    {
      check: 'the fingerprint of the triggers',
      rewriting: () => ({
        part: `concat_ws(' ', t.oid, t.xmin, p.oid, p.xmin)`,
        by: `'as ever'`,
      }),
      async act({ put, stale }) {
        await put([stale])
        await write('alter table bird disable trigger zz_invalidation_update')
        await rename('in silence')
        await write('alter table bird enable always trigger zz_invalidation_update')
      },
    },
    {
      check: 'the triggers themselves',
      rewriting: () => ({ part: `'enabled', t.tgenabled`, by: `'enabled', 'A'` }),
      async act({ apply, put, stale }) {
        await write('alter table bird disable trigger zz_invalidation_update')
        await apply()
        await put([stale])
        await rename('in silence')
      },
    },
  ]
  for (const { check, rewriting, act } of checks) {
    it(`without the check of ${check}, and only then`, async () => {
      const { rows } = await log.client.query<{ id: string }>(
        'select id from invalidation.current_incarnation',
      )
      const permissive = rewriting(rows[0]?.id ?? '')
      const wrapSession: TestInvalidatorOptions['wrapSession'] = (session) =>
        rewriteSql(session, permissive)
      expect(await isServed(act, { wrapSession })).to.equal(true)
      await log[Symbol.asyncDispose]()
      await openLog()
      expect(await isServed(act, {})).to.equal(false)
    })
  }

  it('without the comparison with the stored watermark, and only then', async () => {
    const act = async ({ apply, put, stale, redis, prefix }: Stage) => {
      const marks = await redis.hgetall(watermarkKey(prefix))
      await rename(`restored in ${prefix}`)
      await apply()
      // Another replica with an older state takes over.
      await put([stale])
      await redis.hset(watermarkKey(prefix), marks)
    }
    const prefix = newPrefix()
    const { redis, buckets } = openTestRedis(testRedisUrl(), prefix)
    await untilReady(redis)
    const wrapInvalidationStore: WrapStore = (_, bucket) =>
      createInvalidationStore(
        rewriteScripts(buckets.connectionOf(bucket) as Redis, {
          part: `return (stored[field] or '') == text`,
          by: 'return true',
        }),
        buckets.prefixOf(bucket),
      )
    expect(await isServed(act, { prefix, wrapInvalidationStore })).to.equal(true)
    expect(await isServed(act, {})).to.equal(false)
    redis.disconnect()
  })

  /** Whether the entry exists and may be served after all events were applied. */
  async function isServed(
    act: (stage: Stage) => Promise<unknown>,
    options: Partial<TestInvalidatorOptions>,
  ): Promise<boolean> {
    await using opened = await openWorker({
      databaseUrl: log.url,
      catalog: BIRDS,
      inspectEveryMs: 0,
      ...options,
    })
    const { worker, redis, prefix, invalidationStore } = opened
    const entries = entriesOf(redis, prefix)
    const stale = entries.key(bird, 1)
    const mark = async () => decodeWatermark(await invalidationStore.read(bird.name))
    const apply = async () => {
      const now = await snapshot()
      await until(async () => {
        await worker.applyWindow()
        const { snapshot: applied } = (await mark()) ?? {}
        return applied !== undefined && includes(applied, now)
      })
    }
    worker.acquire(BIRDS)
    await apply()
    await act({ ...opened, ...entries, stale, apply })
    await apply()
    const isEnabled = (await mark())?.keyVersion === bird.version
    return isEnabled && (await entries.left([stale])).length === 1
  }

  async function snapshot(): Promise<Snapshot> {
    // Takes a new transaction id, so that all earlier ones are below the end of the snapshot.
    await log.client.query('select pg_current_xact_id()')
    const { rows } = await log.client.query<{ text: string }>(
      'select pg_current_snapshot()::text as text',
    )
    return parseSnapshot(rows[0]?.text ?? '') as Snapshot
  }
})
