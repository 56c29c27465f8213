import { expect } from 'chai'
import type { Kysely } from 'kysely'
import { openDatabase } from '../../db/database.ts'
import { findBranch, findTinyBranch, searchBranches } from '../../db/queries/branches.ts'
import { findMember } from '../../db/queries/member.ts'
import { findProject } from '../../db/queries/project.ts'
import { findStaffPage } from '../../db/queries/staff-page.ts'
import { findStaffProfile } from '../../db/queries/staff-profile.ts'
import type { Database } from '../../db/schema.ts'
import { branch, branchDetail, branchPage } from '../../shared/shapes/branch.ts'
import { tinyMember } from '../../shared/shapes/member.ts'
import { project } from '../../shared/shapes/project.ts'
import {
  privateStaffProfile,
  staffHero,
  staffPage,
  staffProfile,
} from '../../shared/shapes/staff-profile.ts'
import { createTestDatabase, type TestDatabase } from '../support/database.ts'
import { buildDenseWorld } from './dense-world.ts'

describe('uncached queries', () => {
  let database: TestDatabase
  let db: Kysely<Database>

  before(async () => {
    database = await createTestDatabase()
    db = openDatabase({ url: database.url, poolSize: 1, applicationName: 'uncached-test' })
    await buildDenseWorld(db)
  })

  after(async () => {
    await db.destroy()
    await database[Symbol.asyncDispose]()
  })

  it('return the settings of a profile in the private view only', async () => {
    const shown = staffProfile.parse(parse(await findStaffProfile(db, '182', 'full')))
    expect(shown).to.deep.include({ custom_title: null, public_email: null, is_hidden: false })
    expect(shown.user.email).to.equal(null)

    const own = privateStaffProfile.parse(parse(await findStaffProfile(db, '182', 'private')))
    expect(own).to.deep.include({
      is_hidden: false,
      custom_title: 'Warden',
      custom_title_on: false,
      public_email: 'ben@public.test',
      public_email_on: false,
    })
    expect(own.user.email).to.equal('ben@spms.test')
    expect(own.work).to.deep.equal({
      id: 162,
      role: null,
      business_area: { id: 142, name: 'Other area' },
    })
  })

  it('find hidden profiles and those of inactive users only in the private view or with the option `hidden`', async () => {
    for (const id of ['183', '185']) {
      expect(await findStaffProfile(db, id, 'hero')).to.equal(null)
      const hero = staffHero.parse(
        parse(await findStaffProfile(db, id, 'hero', { includesHidden: true })),
      )
      expect(hero.id).to.equal(Number(id))
      expect(parse(await findStaffProfile(db, id, 'private'))).to.have.property('is_hidden')
    }
    expect(await findStaffProfile(db, '184', 'private')).to.equal(null)
  })

  it('list current entries of a CV before ended ones', async () => {
    const body = parse(await findStaffProfile(db, '181', 'cv'))
    expect(body).to.have.nested.property('employment_entries[0].id', 211)
    expect(body).to.have.nested.property('education_entries[0].id', 222)
  })

  it('search the staff list by displayed fields, and never by log-in e-mail address', async () => {
    const found = await search('aDa')
    expect(found.map(({ user }) => user.first_name)).to.deep.equal(['Ada'])
    expect(await search('ada@public.test')).to.have.length(1)
    expect(await search('spms.test')).to.deep.equal([])
    expect(await search('ben@public.test')).to.deep.equal([])
    // LIKE wildcards and the escape character are matched literally.
    expect(await search('_')).to.deep.equal([])
    expect(await search('%')).to.deep.equal([])
    expect(await search('\\')).to.deep.equal([])
  })

  it('return the staff list in pages of any size', async () => {
    const [first, second, third] = [await pageOfOne(1), await pageOfOne(2), await pageOfOne(3)]
    expect(first).to.deep.include({ total_results: 2, total_pages: 2 })
    expect(first.profiles.map(({ id }) => id)).to.deep.equal([181])
    expect(second.profiles.map(({ id }) => id)).to.deep.equal([182])
    expect(third).to.deep.equal({ profiles: [], total_results: 2, total_pages: 2 })
  })

  it('find branches by a part of the name and by id', async () => {
    const page = branchPage.parse(parse(await searchBranches(db, { searchTerm: 'oTHER', page: 1 })))
    const other = { id: 112, name: 'Other branch', agency: null, manager: null }
    expect(page).to.deep.equal({ branches: [other], total_results: 1, total_pages: 1 })
    expect(branch.parse(parse(await findTinyBranch(db, '112')))).to.deep.equal(other)
    expect(branchDetail.parse(parse(await findBranch(db, '112')))).to.deep.include(other)
    expect(await findBranch(db, '113')).to.equal(null)
  })

  it('find a project with its areas, image and business area', async () => {
    const found = project.parse(parse(await findProject(db, '231')))
    expect(found).to.deep.include({
      id: 231,
      areas: [
        { id: 282, name: 'Pilbara', area_type: 'dbcaregion' },
        { id: 281, name: 'Kimberley', area_type: 'dbcaregion' },
      ],
      deletion_request_id: 302,
      created_at: '2024-02-01T00:00:00.000001+08:00',
      start_date: '2024-02-01',
      end_date: '2025-12-31',
      hidden_from_staff_profiles: [],
    })
    expect(found.image?.uploader).to.deep.equal({ id: 4, username: 'dee' })
    expect(found.business_area?.division?.directorate_email_list).to.deep.equal([
      { id: 4, email: 'dee@spms.test', name: 'None None' },
      { id: 1, email: 'ada@spms.test', name: 'Ada Lane' },
    ])
    const bare = project.parse(parse(await findProject(db, '233')))
    expect(bare).to.deep.include({ areas: [], deletion_request_id: null, business_area: null })
    expect(await findProject(db, '235')).to.equal(null)
  })

  it('find a member with the user and the project', async () => {
    const found = tinyMember.parse(parse(await findMember(db, '231', '1')))
    expect(found).to.deep.include({ id: 251, is_leader: true, role: 'supervising', position: 1 })
    expect(found.user).to.deep.include({
      id: 1,
      name: 'Ada Lane',
      image: '/files/user_avatars/1.png',
    })
    expect(found.user.affiliation).to.deep.equal({
      id: 271,
      created_at: '2024-04-01T08:00:00+08:00',
      updated_at: '2024-04-02T08:00:00+08:00',
      name: 'Affiliation',
    })
    expect(found.user.business_area?.id).to.equal(141)
    expect(found.project.id).to.equal(231)
    expect(await findMember(db, '231', '3')).to.equal(null)
  })

  async function search(term: string) {
    const { body } = await findStaffPage(db, { search: term, page: 1, pageSize: 10 })
    return staffPage.parse(parse(body)).profiles
  }

  async function pageOfOne(page: number) {
    return staffPage.parse(parse((await findStaffPage(db, { page, pageSize: 1 })).body))
  }
})

const parse = (body: string | null): unknown => body && JSON.parse(body)
