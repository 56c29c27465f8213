import { pbkdf2Sync } from 'node:crypto'
import { expect } from 'chai'
import { Client } from 'pg'
import { openDatabase } from '../db/database.ts'
import {
  findCaretakerRequests,
  findOutgoingCaretakerRequests,
  findUnexpiredPendingTasks,
} from '../db/queries/admin-tasks.ts'
import { findPendingEndorsements } from '../db/queries/endorsements.ts'
import { findCaretakerDocuments, findPendingDocuments } from '../db/queries/pending-documents.ts'
import { seed } from '../scripts/seed/seed.ts'
import { createTestDatabase } from './support/database.ts'

describe('seed', () => {
  let seeded: World
  before(async () => {
    seeded = await openSeeded()
  })
  after(() => seeded[Symbol.asyncDispose]())

  it('creates as many rows as a real SPMS has', async () => {
    expect(await seed(seeded.url)).to.deep.include({
      users: 1_200,
      alreadyThere: true,
      counts: {
        users_user: 1_200,
        users_publicstaffprofile: 300,
        agencies_division: 4,
        agencies_businessarea: 20,
        agencies_branch: 60,
        agencies_affiliation: 200,
        projects_project: 1_500,
        projects_projectmember: 7_000,
        documents_projectdocument: 6_000,
        caretakers_caretaker: 40,
      },
    })
    const [facts] = await seeded.query(`
      select
        (select count(*)::int from users_user where is_staff) as staff,
        (select count(*)::int from users_publicstaffprofile where is_hidden) as hidden,
        (select min(n)::int from (
          select count(*) n from agencies_division_directorate_email_list group by division_id
        ) e) as emails_of_a_division,
        (select count(*)::int from users_user u join users_publicstaffprofile p on p.user_id = u.id
          where p.public_email = u.email) as public_log_in_emails
    `)
    expect(facts).to.deep.equal({
      staff: 400,
      hidden: 50,
      emails_of_a_division: 5,
      public_log_in_emails: 0,
    })
  })

  it('assigns sixty projects to one member of staff, and fewer than ten to half of them', async () => {
    const [spread] = await seeded.query(`
      select max(n)::int, min(n)::int, percentile_disc(0.5) within group (order by n)::int as median
      from (
        select count(m.id) n from users_user u join projects_projectmember m on m.user_id = u.id
        where u.is_staff group by u.id
      ) memberships
    `)
    expect(spread).to.include({ max: 60, min: 1 })
    expect(spread?.['median']).to.be.below(10)
  })

  it('writes texts of realistic lengths', async () => {
    const [lengths] = await seeded.query(`
      select
        percentile_disc(0.5) within group (order by length(about)) filter (where about <> '')
          as about_median,
        percentile_disc(0.95) within group (order by length(about)) filter (where about <> '')
          as about_p95,
        percentile_disc(0.5) within group (order by length(expertise))
          filter (where expertise <> '') as expertise_median
      from users_publicstaffprofile
    `)
    expect(lengths?.['about_median']).to.be.closeTo(344, 50)
    expect(lengths?.['about_p95']).to.be.closeTo(1_940, 350)
    expect(lengths?.['expertise_median']).to.be.closeTo(219, 30)
  })

  it('creates chains of caretakers that have ended, end in decades, or never end', async () => {
    const [facts] = await seeded.query(`
      with recursive chain as (
        select caretaker_id, 1 as length from caretakers_caretaker where end_date is null
          or end_date > now()
        union all
        select next.caretaker_id, chain.length + 1
        from chain join caretakers_caretaker next on next.user_id = chain.caretaker_id
        where length < 5 and (next.end_date is null or next.end_date > now())
      )
      select
        count(*) filter (where end_date < '2026-11-01') > 0 as some_ended,
        count(*) filter (where end_date is null) > 0 as some_never_end,
        count(*) filter (where end_date between '2026-11-01' and '2050-01-01') as ending_soon,
        (select max(length) from chain) as longest_chain
      from caretakers_caretaker
    `)
    expect(facts).to.deep.equal({
      some_ended: true,
      some_never_end: true,
      ending_soon: '0',
      longest_chain: 5,
    })
  })

  it('returns a public profile as the example', async () => {
    const { exampleProfileId } = await seed(seeded.url)
    const [profile] = await seeded.query(
      `select p.is_hidden, u.is_active, u.is_staff, length(p.expertise) > 0 as has_expertise
       from users_publicstaffprofile p join users_user u on u.id = p.user_id where p.id = $1`,
      [exampleProfileId],
    )
    expect(profile).to.deep.equal({
      is_hidden: false,
      is_active: true,
      is_staff: true,
      has_expertise: true,
    })
  })

  it('returns a log-in that matches the stored password', async () => {
    const { login } = await seed(seeded.url)
    const [user] = await seeded.query(
      'select password, is_superuser from users_user where username = $1',
      [login.username],
    )
    const [scheme, rounds, salt = '', hash] = String(user?.['password']).split('$')
    expect(scheme).to.equal('pbkdf2_sha256')
    expect(hash).to.equal(
      pbkdf2Sync(login.password, salt, Number(rounds), 32, 'sha256').toString('base64'),
    )
    expect(user).to.have.property('is_superuser', true)
  })

  it('gives users e-mail addresses as names, and the printed users complete profiles', async () => {
    const [names] = await seeded.query(`
      select bool_and(username ~ '^[^@ ]+@[^@ ]+$') as are_addresses,
        bool_and(email = username) as equal_the_email
      from users_user
    `)
    expect(names).to.deep.equal({ are_addresses: true, equal_the_email: true })
    const { login, memberLogin } = await seed(seeded.url)
    const printed = await seeded.query(
      `select username, is_superuser, is_staff, u.is_active, is_hidden, f.file <> '' as has_avatar,
         length(s.about) > 0 and length(s.expertise) > 0 as has_texts,
         a.leader_id = u.id as leads_area, w.branch_id > 0 and p.title <> '' and c.phone <> '' as is_known
       from users_user u
       join users_publicstaffprofile s on s.user_id = u.id join users_userwork w on w.user_id = u.id
       join users_userprofile p on p.user_id = u.id join contacts_usercontact c on c.user_id = u.id
       join medias_useravatar f on f.user_id = u.id
       join agencies_businessarea a on a.id = w.business_area_id
       where username = any($1) order by u.id`,
      [[login.username, memberLogin.username]],
    )
    const complete = {
      is_staff: true,
      is_active: true,
      is_hidden: false,
      has_avatar: true,
      has_texts: true,
      leads_area: true,
      is_known: true,
    }
    expect(printed).to.deep.equal([
      { ...complete, username: login.username, is_superuser: true },
      { ...complete, username: memberLogin.username, is_superuser: false },
    ])
    const [avatars] = await seeded.query(`
      select avg((f.file is not null)::int)::float8 as share from users_publicstaffprofile s
      left join medias_useravatar f on f.user_id = s.user_id`)
    expect(avatars?.['share']).to.be.above(0.8)
  })

  it('lets requests and documents of each kind wait for the printed users', async () => {
    const { login, memberLogin } = await seed(seeded.url)
    const db = openDatabase({ url: seeded.url, poolSize: 1, applicationName: 'test' })
    try {
      for (const { username } of [login, memberLogin]) {
        const isSuperuser = username === login.username
        const [user] = await seeded.query('select id from users_user where username = $1', [
          username,
        ])
        const userId = String(user?.['id'])
        const viewer = { userId, isSuperuser }
        const actions = actionsOf(await findUnexpiredPendingTasks(db, viewer))
        expect(actions, username).to.include.members(['deleteproject', 'mergeuser', 'setcaretaker'])
        for (const find of [findCaretakerRequests, findOutgoingCaretakerRequests]) {
          expect(actionsOf(await find(db, userId, viewer)), username).to.deep.equal([
            'setcaretaker',
          ])
        }
        const documents = JSON.parse(await findPendingDocuments(db, userId))
        for (const part of ['lead', 'team', 'ba', ...(isSuperuser ? ['directorate'] : [])]) {
          expect(documents[part], `${username} ${part}`).to.have.length.above(0)
        }
        expect(JSON.parse(await findPendingEndorsements(db, userId)).aec).to.have.length.above(0)
        const covered = JSON.parse(await findCaretakerDocuments(db, userId))
        expect(covered.all, username).to.have.length.above(0)
      }
    } finally {
      await db.destroy()
    }
  })

  it('names divisions and areas as the front end does, and places projects on its map', async () => {
    const areas = await seeded.query(`
      select d.slug, count(a.id)::int > 0 as has_areas from agencies_division d
      left join agencies_businessarea a on a.division_id = d.id group by d.id order by d.id`)
    expect(areas).to.deep.equal([
      { slug: 'BCS', has_areas: true },
      { slug: 'CEM', has_areas: true },
      { slug: 'RFMS', has_areas: true },
      { slug: 'PVS', has_areas: false },
    ])
    const [located] = await seeded.query(`
      select count(*) filter (where a.areas <> '{}')::int as with_areas,
        count(*) filter (where exists (
          select from locations_area l where l.id = any(a.areas) and l.area_type = 'dbcaregion'
        ))::int as in_a_region
      from projects_project p left join projects_projectarea a on a.project_id = p.id`)
    expect(located?.['with_areas']).to.be.within(1_440, 1_499)
    expect(located?.['in_a_region']).to.equal(located?.['with_areas'])
    const regions = await seeded.query(
      `select name from locations_area where area_type = 'dbcaregion' order by name`,
    )
    expect(regions.map(({ name }) => name)).to.deep.equal([
      'Goldfields',
      'Kimberley',
      'Midwest',
      'Pilbara',
      'South Coast',
      'South West',
      'Swan',
      'Warren',
      'Wheatbelt',
    ])
    const [types] = await seeded.query(
      `select count(distinct area_type)::int as types, count(*)::int as areas,
         bool_or(name ~ '[0-9]') as numbered from locations_area`,
    )
    expect(types).to.deep.equal({ types: 5, areas: 105, numbered: false })
  })

  it('creates the same rows in every database, with or without column defaults', async () => {
    await using djangos = await openSeeded({ madeByDjango: true })
    expect(await digest(djangos)).to.deep.equal(await digest(seeded))
  })

  it('changes nothing on a second run, even if its rows were edited', async () => {
    await using world = await openSeeded()
    await world.query(`update users_publicstaffprofile set expertise = 'changed' where id = 1`)
    const before = await digest(world)
    expect(await seed(world.url, { scale: 2 })).to.include({ alreadyThere: true })
    expect(await digest(world)).to.deep.equal(before)
  })

  it('seeds once if two processes start together', async () => {
    await using database = await createTestDatabase()
    const runs = await Promise.all([0, 1].map(() => seed(database.url, { scale: 0.05 })))
    expect(runs.map(({ alreadyThere }) => alreadyThere)).to.have.members([true, false])
    expect(new Set(runs.map(({ users }) => users))).to.deep.equal(new Set([60]))
  })

  it('advances the id sequences past its rows', async () => {
    await using world = await openSeeded()
    const [branch] = await world.query(
      `insert into agencies_branch (name) values ('New branch') returning id`,
    )
    expect(branch).to.deep.equal({ id: '61' })
  })

  it('rejects a database with users that it did not create', async () => {
    await using database = await createTestDatabase()
    await using world = await open(database.url)
    await world.query(`insert into users_user (password, username) values ('!', 'other')`)
    const error = await seed(database.url).catch((reason: unknown) => reason)
    expect(error).to.have.property('name', 'ConfigurationError')
    const users = await world.query('select username from users_user')
    expect(users).to.deep.equal([{ username: 'other' }])
  })
})

const actionsOf = (tasks: string): string[] => [
  ...new Set((JSON.parse(tasks) as { action: string }[]).map(({ action }) => action)),
]

interface World extends AsyncDisposable {
  readonly url: string
  query(text: string, values?: readonly unknown[]): Promise<Record<string, unknown>[]>
}

async function openSeeded(options: { readonly madeByDjango?: boolean } = {}): Promise<World> {
  const database = await createTestDatabase({ seeded: true, ...options })
  const world = await open(database.url)
  return {
    ...world,
    [Symbol.asyncDispose]: async () => {
      await world[Symbol.asyncDispose]()
      await database[Symbol.asyncDispose]()
    },
  }
}

async function open(url: string): Promise<World> {
  const client = new Client({ connectionString: url })
  await client.connect()
  return {
    url,
    query: async (text, values = []) => (await client.query(text, [...values])).rows,
    [Symbol.asyncDispose]: () => client.end(),
  }
}

/** Returns a hash of the rows of each table. */
async function digest(world: World): Promise<Record<string, unknown>> {
  const tables = await world.query(`
    select tablename as name from pg_tables
    where schemaname = 'public' and tablename not like 'spms_migration%' order by 1
  `)
  const hashes: Record<string, unknown> = {}
  for (const name of tables.map((table) => String(table['name']))) {
    const [row] = await world.query(
      `select md5(string_agg(t::text, '' order by t::text)) as hash from ${name} t`,
    )
    hashes[name] = row?.['hash']
  }
  return hashes
}
