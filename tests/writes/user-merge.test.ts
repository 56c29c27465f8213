import { expect } from 'chai'
import { sql } from 'kysely'
import { transact } from '../../db/writes/transact.ts'
import { lockForMerge, mergeUsers } from '../../db/writes/user-merge.ts'
import { describeOnBothTables } from '../support/both-tables.ts'
import { effectsOf } from '../support/effects.ts'
import { interleave } from '../support/interleave.ts'

describeOnBothTables('merge of users', (api) => {
  const merge = (primaryId: string, ...secondaryIds: string[]) =>
    transact(api.db, async (trx) => {
      await lockForMerge(trx, { primaryId, secondaryIds })
      await mergeUsers(trx, { primaryId, secondaryIds })
    })
  const membersOf = (projectId: string) =>
    api.db
      .selectFrom('projects_projectmember')
      .select(['user_id', 'role', 'is_leader'])
      .where('project_id', '=', projectId)
      .orderBy('id')
      .execute()

  it('moves the work of the secondary user, and deletes the rest', async () => {
    const effects = await effectsOf(api.db, () => merge('1', '5'))
    expect(effects).to.include.members([
      '- users_user 5',
      '- caretakers_caretaker 263',
      '- projects_projectmember 55',
      '~ communications_comment 252: user_id',
      '~ documents_projectdocument 221: creator_id',
      '~ documents_projectdocument 222: modifier_id',
      '~ medias_projectphoto 216: uploader_id',
      '~ projects_project 204: hidden_from_staff_profiles',
      '~ projects_projectdetail 210: creator_id',
      '~ projects_projectmember 206: user_id',
      '~ projects_projectmember 207: user_id',
    ])
    expect(effects.filter((effect) => effect.startsWith('- '))).to.have.length(3)
    const { hidden_from_staff_profiles } = await api.db
      .selectFrom('projects_project')
      .select('hidden_from_staff_profiles')
      .where('id', '=', '204')
      .executeTakeFirstOrThrow()
    expect(hidden_from_staff_profiles).to.deep.equal([1, 2])
  })

  it('keeps one membership of a project, which leads if one of both did', async () => {
    await merge('2', '1', '5')
    expect(await membersOf('51')).to.deep.equal([
      { user_id: '2', role: 'supervising', is_leader: true },
    ])
    await api.reset()
    await sql`update projects_projectmember set role = 'student' where id = 55`.execute(api.db)
    await sql`update projects_projectmember set role = 'technical' where id = 54`.execute(api.db)
    await merge('2', '5')
    expect((await membersOf('51'))[1]).to.deep.equal({
      user_id: '2',
      role: 'technical',
      is_leader: true,
    })
    await api.reset()
    await sql`update users_user set is_staff = false where id = 2`.execute(api.db)
    await sql`update projects_projectmember set role = 'student' where id = 55`.execute(api.db)
    await merge('2', '5')
    expect((await membersOf('51'))[1]).to.include({ role: 'student', is_leader: true })
  })

  it('moves entries of e-mail lists without duplicates', async () => {
    await sql`
      insert into agencies_division (id, created_at, updated_at, name, slug) values
        (301, '2020-01-01', '2020-01-01', 'Science', 's'), (302, '2020-01-01', '2020-01-01', 'Parks', 'p');
      insert into agencies_division_directorate_email_list (id, division_id, user_id) values
        (303, 301, 1), (304, 301, 5), (305, 302, 5)`.execute(api.db)
    await merge('1', '5')
    const { rows } = await sql`
      select id::int, user_id::int from agencies_division_directorate_email_list
      where id >= 303 order by id`.execute(api.db)
    expect(rows).to.deep.equal([
      { id: 303, user_id: 1 },
      { id: 305, user_id: 1 },
    ])
  })

  it('serializes with a concurrent new membership of the secondary user', async () => {
    const lock = sql`select from users_user where id = 4 for update`
    const add = () =>
      api.send('POST', 'projects/project_members', {
        as: 1,
        body: { project: 51, user: 4, role: 'group' },
      })
    const [status] = await interleave(api.db, lock, [
      async () => (await add()).status,
      () => merge('2', '4').then(() => 0),
    ])
    expect(status).to.equal(201)
    expect(await membersOf('51')).to.deep.include({
      user_id: '2',
      role: 'research',
      is_leader: false,
    })
    await api.reset()
    const [, rejected] = await interleave(api.db, lock, [
      () => merge('2', '4').then(() => 0),
      async () => (await add()).status,
    ])
    expect(rejected).to.equal(400)
  })
})
