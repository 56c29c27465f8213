import { expect } from 'chai'
import { sql } from 'kysely'
import { lockMember } from '../../db/writes/member.ts'
import { lockProject, updateProject } from '../../db/writes/project.ts'
import { lockForSuperuser } from '../../db/writes/superuser.ts'
import { WriteError } from '../../db/writes/write-error.ts'
import { lockStaffProfile, updateStaffProfile } from '../../db/writes/staff-profile.ts'
import { transact } from '../../db/writes/transact.ts'
import { startTestApi, type TestApi } from '../routes/test-api.ts'

const BRANCH = { table: 'agencies_branch', entity: 'Branch', id: '21' } as const

describe('transact', () => {
  let api: TestApi

  before(async () => {
    api = await startTestApi({ madeByDjango: true })
  })
  after(() => api[Symbol.asyncDispose]())
  beforeEach(() => api.reset())

  it('checks the rights of the user in the database, not in the session', async () => {
    const locks: readonly (readonly [string, (userId: string) => Promise<unknown>])[] = [
      ['forbidden', (userId) => transact(api.db, (trx) => lockStaffProfile(trx, '41', userId))],
      ['forbidden', (userId) => transact(api.db, (trx) => lockProject(trx, '51', userId))],
      ['forbidden', (userId) => transact(api.db, (trx) => lockForSuperuser(trx, BRANCH, userId))],
      [
        'not_found',
        (userId) =>
          transact(api.db, (trx) => lockMember(trx, { projectId: '51', memberId: '2' }, userId)),
      ],
    ]
    for (const [rejected, lock] of locks) {
      await lock('3')
      expect((await writeErrorOf(lock('4'))).reason).to.equal(rejected)
      // User 5 is a superuser and a leader but deactivated; user 999 does not exist.
      expect((await writeErrorOf(lock('5'))).reason).to.equal('unauthenticated')
      expect((await writeErrorOf(lock('999'))).reason).to.equal('unauthenticated')
    }
    await sql`update users_user set is_superuser = false where id = 3`.execute(api.db)
    for (const [rejected, lock] of locks) {
      expect((await writeErrorOf(lock('3'))).reason).to.equal(rejected)
    }
  })

  it('locks no rows for a user that may not write them', async () => {
    await api.db.transaction().execute(async (other) => {
      for (const [table, id] of [
        ['users_user', 2],
        ['projects_project', 51],
        ['users_publicstaffprofile', 41],
        ['users_employmententry', 43],
        ['agencies_branch', 21],
        ['projects_projectarea', 208],
        ['caretakers_caretaker', 64],
        ['adminoptions_admintask', 262],
      ] as const) {
        await sql`select from ${sql.table(table)} where id = ${id} for update`.execute(other)
      }
      // Each write would wait for a row lock above.
      for (const [method, path, status] of [
        ['PUT', 'users/2', 403],
        ['POST', 'users/2/toggleactive', 403],
        ['PUT', 'projects/51', 403],
        ['POST', 'projects/51/toggle_user_profile_visibility', 403],
        ['DELETE', 'projects/project_members/51/2', 404],
        ['DELETE', 'projects/project_areas/208', 404],
        ['PUT', 'users/staffprofiles/41', 403],
        ['DELETE', 'users/employment_entries/43', 403],
        ['DELETE', 'agencies/branches/21', 403],
        ['DELETE', 'caretakers/64', 403],
        ['POST', 'adminoptions/tasks/262/approve', 404],
      ] as const) {
        const answer = await api.send(method, path, { as: 4, body: {} })
        expect(answer.status, `${method} ${path}`).to.equal(status)
      }
    })
  })

  it('rejects a user who loses the rights while the write waits for a lock', async () => {
    const [lock] = await api.db.transaction().execute(async (other) => {
      await sql`select from projects_project where id = 51 for update`.execute(other)
      const waiting = writeErrorOf(transact(api.db, (trx) => lockProject(trx, '51', '3')))
      await sql`select pg_sleep(0.1)`.execute(other)
      await sql`update users_user set is_superuser = false where id = 3`.execute(api.db)
      return [waiting]
    })
    expect((await lock).reason).to.equal('forbidden')
  })

  it('rolls back everything if a later statement is rejected', async () => {
    const work = transact(api.db, async (trx) => {
      await lockStaffProfile(trx, '41', '1')
      await updateStaffProfile(trx, '41', { about: 'x' })
      await updateProject(trx, '51', { title: 'x', business_area_id: '999' })
    })
    const { reason, message, fields } = await writeErrorOf(work)
    expect({ reason, message, fields }).to.deep.equal({
      reason: 'invalid',
      message: 'Invalid pk "999" - object does not exist.',
      fields: { business_area: ['Invalid pk "999" - object does not exist.'] },
    })
    const { about } = await api.db
      .selectFrom('users_publicstaffprofile')
      .select('about')
      .where('id', '=', '41')
      .executeTakeFirstOrThrow()
    expect(about).to.equal('About Lea')
  })

  it('locks rows that it refers to until it commits', async () => {
    const update = transact(api.db, async (trx) => {
      await updateProject(trx, '51', { business_area_id: '32' })
      const removal = sql`delete from agencies_businessarea where id = 32`.execute(api.db)
      const outcome = await Promise.race([
        removal.then(() => 'removed'),
        sql`select pg_sleep(0.2)`.execute(trx).then(() => 'waiting'),
      ])
      expect(outcome).to.equal('waiting')
      return {
        removal: removal.then(
          () => undefined,
          (error: unknown) => error,
        ),
      }
    })
    const { removal } = await update
    expect(await removal).to.have.property('code', '23503')
  })

  it('rethrows unexpected database errors unchanged', async () => {
    const bug = await transact(api.db, (trx) => sql`select nothing`.execute(trx)).catch(
      (error: unknown) => error,
    )
    expect(bug).to.have.property('code', '42703')
  })

  it('fails as unavailable if another transaction holds its row lock too long', async () => {
    await api.db.transaction().execute(async (other) => {
      await sql`select from projects_project where id = 51 for update`.execute(other)
      const writeError = await writeErrorOf(
        transact(api.db, async (trx) => {
          await sql`set local lock_timeout = '50ms'`.execute(trx)
          await lockProject(trx, '51', '1')
        }),
      )
      expect(writeError.reason).to.equal('unavailable')
    })
  })

  it('answers 503 with Retry-After to the victim of a deadlock', async () => {
    await sql`
      create function wait_for_the_other() returns trigger language plpgsql as $$
      begin
        perform pg_advisory_xact_lock(case when new.title = 'a' then 1 else 2 end);
        perform pg_sleep(0.2);
        perform pg_advisory_xact_lock(case when new.title = 'a' then 2 else 1 end);
        return new;
      end $$;
      create trigger wait_for_the_other before update on projects_project
      for each row execute function wait_for_the_other()`.execute(api.db)
    try {
      const answers = await Promise.all([
        api.send('PUT', 'projects/51', { as: 3, body: { title: 'a' } }),
        api.send('PUT', 'projects/52', { as: 3, body: { title: 'b' } }),
      ])
      expect(answers.map(({ status }) => status)).to.have.members([200, 503])
      const rejected = answers.find(({ status }) => status === 503)
      expect(rejected?.headers).to.include({ 'retry-after': '1' })
    } finally {
      await sql`drop trigger wait_for_the_other on projects_project`.execute(api.db)
    }
  })
})

async function writeErrorOf(work: Promise<unknown>): Promise<WriteError> {
  const outcome = await work.catch((error: unknown) => error)
  expect(outcome).to.be.instanceOf(WriteError)
  return outcome as WriteError
}
