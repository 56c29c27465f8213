import { Redis } from 'ioredis'
import { untilApplied } from '../applied.ts'
import type { Part } from '../bench.ts'
import { shown } from '../figure.ts'
import { startInvalidator } from '../invalidator.ts'
import { peakBytes } from '../processes.ts'
import { findProfileIds, profileKey } from '../profiles.ts'
import { runStatement } from '../statement.ts'
import { table } from '../table.ts'
import { fillEntries } from './entries.ts'

const EVENTS_OF_A_COMMIT = 1_000

/** Measures the start of an invalidator with a full event log. */
export const backlog: Part = async (bench) => {
  const { servers, quick, print } = bench
  const events = quick ? 100_000 : 1_000_000
  const redis = new Redis(servers.redisUrl)
  const keys = (await findProfileIds(servers.databaseUrl)).map((id) =>
    profileKey(servers.prefix, id),
  )
  try {
    // This one stores watermarks. Without them the next one would flush instead of reading the log.
    const earlier = await startInvalidator(bench)
    await untilApplied(servers)
    await earlier.stop()
    print(`scale: a backlog of ${events.toLocaleString('en')} events`)
    await runStatement(servers.databaseUrl, pileUp(events / EVENTS_OF_A_COMMIT))
    await fillEntries(redis, keys)

    const startedMs = performance.now()
    const applied = untilApplied(servers)
    applied.catch(() => {})
    const invalidator = await startInvalidator(bench)
    const readyMs = performance.now() - startedMs
    const appliedMs = await applied
    const bytes = await peakBytes(invalidator.pid)
    await invalidator.stop()
    const left = await redis.exists(...keys)
    if (left > 0) throw new Error(`the backlog was applied, but ${left} entries still exist`)

    print(
      table(
        ['backlog at the start', 'events', 'ready after ms', 'applied after ms', 'peak MiB'],
        [['', shown(events), shown(readyMs), shown(appliedMs), shown(bytes / 2 ** 20)]],
      ),
    )
    const what = `start with ${events.toLocaleString('en')} events`
    return [
      {
        what: `${what}, until every watermark includes them`,
        value: appliedMs,
        unit: 'ms',
        budget: { atMost: 10_000 },
      },
      {
        what: `${what}, peak memory`,
        value: bytes,
        unit: 'bytes',
        budget: { atMost: 300 * 2 ** 20 },
      },
    ]
  } finally {
    redis.disconnect()
  }
}

/** Returns SQL that commits copies of a real event, each of another profile, as triggers would. */
const pileUp = (commits: number): string => `do $$
  begin
    update users_publicstaffprofile set expertise = 'backlog ' || clock_timestamp() where id = 1;
    commit;
    create temporary table model on commit preserve rows as
      select * from invalidation.event order by xid desc limit 1;
    commit;
    for part in 1..${commits} loop
      insert into invalidation.event
        select segment, pg_current_xact_id(), version, table_id, op, changed,
               (select json_build_array(json_agg(k.key))
                from (select (n % 300 + 1)::text as key from json_array_elements(keys -> 0)) k), at
        from model, generate_series(1, ${EVENTS_OF_A_COMMIT}) n;
      commit;
    end loop;
  end $$`
