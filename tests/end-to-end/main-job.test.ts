import { expect } from 'chai'
import { startSystem, type System } from '../support/system.ts'
import { until } from '../support/until.ts'

/** Reads a profile until it is a cache hit, so that a later change must be invalidated to be visible. */
async function warm(system: System, path: string): Promise<string> {
  await until(async () => (await system.get(path)).cache === 'hit')
  return (await system.get(path)).text
}

const waitFor = (system: System, path: string, wanted: (text: string, status: number) => boolean) =>
  until(async () => {
    const { text, status } = await system.get(path)
    return wanted(text, status)
  })

describe('a change by SQL in answers over HTTP', function () {
  this.timeout(60_000)
  let system: System
  before(async () => {
    system = await startSystem()
  })
  after(() => system[Symbol.asyncDispose]())

  /** Returns ids of public profiles. */
  async function visible(count: number): Promise<string[]> {
    const { rows } = await system.sql.query<{ id: string }>(
      `select p.id from users_publicstaffprofile p join users_user u on u.id = p.user_id
       where not p.is_hidden and u.is_active and u.is_staff order by p.id limit $1`,
      [count],
    )
    return rows.map(({ id }) => id)
  }

  it('is visible in an entry that was cached before', async () => {
    const [id] = await visible(1)
    const path = `users/staffprofiles/${id}/overview`
    expect((await system.get(path)).cache).to.equal('fwd=miss')
    await warm(system, path)

    for (const value of ['a first change', 'a second change']) {
      await system.sql.query('update users_publicstaffprofile set expertise = $1 where id = $2', [
        value,
        id,
      ])
      await waitFor(system, path, (text) => text.includes(value))
      await warm(system, path)
    }
  })

  it('requires no rights on schema invalidation', async () => {
    const [id] = await visible(1)
    const path = `users/staffprofiles/${id}/overview`
    await warm(system, path)
    await system.sql.query(`
      create role outsider;
      grant select, update on users_publicstaffprofile to outsider;
      set role outsider`)
    try {
      await system.sql.query('update users_publicstaffprofile set expertise = $1 where id = $2', [
        'by an outsider',
        id,
      ])
    } finally {
      await system.sql.query('reset role; drop owned by outsider; drop role outsider')
    }
    await waitFor(system, path, (text) => text.includes('by an outsider'))
  })

  it('is visible under session_replication_role = replica', async () => {
    const [id] = await visible(1)
    const path = `users/staffprofiles/${id}/overview`
    await warm(system, path)
    await system.sql.query('set session_replication_role = replica')
    await system.sql.query('update users_publicstaffprofile set expertise = $1 where id = $2', [
      'as a replica',
      id,
    ])
    await system.sql.query('reset session_replication_role')
    await waitFor(system, path, (text) => text.includes('as a replica'))
  })

  it('is visible after MERGE, an upsert and a writable CTE', async () => {
    const [id] = await visible(1)
    const path = `users/staffprofiles/${id}/overview`
    const statements = {
      merge: `merge into users_publicstaffprofile p using (select ${id}::bigint as id) s on p.id = s.id
              when matched then update set expertise = 'by merge'`,
      upsert: `insert into users_publicstaffprofile (id, user_id, is_hidden, public_email_on, custom_title_on, created_at, updated_at)
               select id, user_id, is_hidden, public_email_on, custom_title_on, now(), now()
               from users_publicstaffprofile where id = ${id}
               on conflict (id) do update set expertise = 'by upsert'`,
      cte: `with changed as (update users_publicstaffprofile set expertise = 'by cte' where id = ${id} returning 1)
            select count(*) from changed`,
    }
    for (const [way, statement] of Object.entries(statements)) {
      await warm(system, path)
      await system.sql.query(statement)
      await waitFor(system, path, (text) => text.includes(`by ${way}`))
    }
  })

  it('is not visible if its savepoint was rolled back', async () => {
    const [id, other] = await visible(2)
    const before = await warm(system, `users/staffprofiles/${id}/overview`)
    await warm(system, `users/staffprofiles/${other}/overview`)
    await system.sql.query('begin')
    await system.sql.query('savepoint s')
    await system.sql.query(
      `update users_publicstaffprofile set expertise = 'never' where id = ${id}`,
    )
    await system.sql.query('rollback to savepoint s')
    await system.sql.query(
      `update users_publicstaffprofile set expertise = 'kept' where id = ${other}`,
    )
    await system.sql.query('commit')
    await waitFor(system, `users/staffprofiles/${other}/overview`, (text) => text.includes('kept'))
    const after = await system.get(`users/staffprofiles/${id}/overview`)
    expect(after.text).to.equal(before)
    expect(after.cache).to.equal('hit')
  })

  it('is visible after one UPDATE of 100,000 rows', async () => {
    // So many distinct rows that the event is a flush.
    await system.sql.query(
      `insert into users_keywordtag (name) select 'bulk ' || n from generate_series(1, 100000) n`,
    )
    const { rows } = await system.sql.query<{ id: string; profile: string }>(
      `select t.keywordtag_id as id, t.publicstaffprofile_id as profile
       from users_publicstaffprofile_keyword_tags t
       join users_publicstaffprofile p on p.id = t.publicstaffprofile_id
       join users_user u on u.id = p.user_id
       where not p.is_hidden and u.is_active and u.is_staff limit 1`,
    )
    const path = `users/staffprofiles/${rows[0]?.profile}/overview`
    await warm(system, path)
    await system.sql.query(`update users_keywordtag set name = left(name, 40) || ' x'`)
    await waitFor(system, path, (text) => text.includes(' x"'))
    await system.sql.query(`delete from users_keywordtag where name like 'bulk %'`)
  })

  it('is visible after COPY', async () => {
    const [id] = await visible(1)
    const path = `users/staffprofiles/${id}/cv`
    await warm(system, path)
    await system.sql.query(
      `copy users_employmententry (public_profile_id, position_title, start_year)
       from program 'printf "%s\\tCopied in\\t1999\\n" ${id}'`,
    )
    await waitFor(system, path, (text) => text.includes('Copied in'))
  })

  it('is visible in entries that a cascading delete affects', async () => {
    const [id] = await visible(1)
    const { rows } = await system.sql.query<{ user_id: string }>(
      'select user_id from users_publicstaffprofile where id = $1',
      [id],
    )
    const [page, projects] = [
      `users/staffprofiles/${id}`,
      `users/${rows[0]?.user_id}/projects_staff_profile`,
    ]
    await warm(system, page)
    await warm(system, projects)
    await system.sql.query('delete from users_user where id = $1', [rows[0]?.user_id])
    await waitFor(system, page, (_, status) => status === 404)
    await waitFor(system, projects, (text) => text === '[]')
  })

  it('causes an error instead of a stale answer if a column was renamed, until the column is restored', async () => {
    const [id, other] = await visible(2)
    const path = `users/staffprofiles/${id}/overview`
    await warm(system, path)
    await warm(system, `users/staffprofiles/${other}/overview`)
    await system.sql.query('alter table users_publicstaffprofile rename expertise to skill')
    await system.sql.query(`update users_publicstaffprofile set skill = 'renamed' where id = ${id}`)
    await waitFor(system, path, (_, status) => status === 500)
    const reply = await system.get(path)
    expect(reply.headers.get('content-type')).to.contain('application/problem+json')
    expect(reply.text).not.to.contain('skill')
    // The resource was flushed, since the affected rows are unknown.
    await waitFor(system, `users/staffprofiles/${other}/overview`, (_, status) => status === 500)

    await system.sql.query('alter table users_publicstaffprofile rename skill to expertise')
    await waitFor(system, path, (text) => text.includes('renamed'))
    await warm(system, path)
    await system.sql.query(
      `update users_publicstaffprofile set expertise = 'back' where id = ${id}`,
    )
    await waitFor(system, path, (text) => text.includes('back'))
  })

  it('is visible after TRUNCATE ... CASCADE', async () => {
    const [id] = await visible(1)
    const path = `users/staffprofiles/${id}/cv`
    await warm(system, path)
    await warm(system, 'users/staffprofiles')
    await system.sql.query('truncate users_publicstaffprofile cascade')
    await waitFor(system, path, (_, status) => status === 404)
    await waitFor(system, 'users/staffprofiles', (text) => text.includes('"total_results":0'))
  })
})
