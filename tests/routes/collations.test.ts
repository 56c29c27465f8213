import { expect } from 'chai'
import type { BearerConfig } from '../../api/session/bearer.ts'
import { findLogInCandidate } from '../../db/queries/log-in.ts'
import { findUserByEmail } from '../../db/queries/user-by-email.ts'
import { type Issuer, startIssuer } from '../support/issuer.ts'
import { startReadApi } from './read-api.ts'
import type { TestApi } from './test-api.ts'

const [LEA, SUE, LIN] = [1, 3, 1201]

describe('the API on tables with nondeterministic collations', () => {
  let issuer: Issuer
  let plain: TestApi
  let api: TestApi

  before(async () => {
    issuer = await startIssuer()
    const bearer: BearerConfig = {
      issuer: issuer.issuer,
      jwksUrl: issuer.jwksUrl,
      audiences: ['spms'],
      algorithms: ['ES256'],
      userClaim: 'email',
      emailVerifiedClaim: 'email_verified',
      maxLifetimeS: 3600,
    }
    plain = await startReadApi()
    api = await startReadApi({ nondeterministic: true, http: { bearer } })
  })
  after(async () => {
    await api[Symbol.asyncDispose]()
    await plain[Symbol.asyncDispose]()
    await issuer[Symbol.asyncDispose]()
  })

  it('returns the same results for every search', async () => {
    for (const path of [
      'users/staffprofiles?search=LE',
      'users/list?search=LIN',
      'users/list?search=lin%20fox',
      'users/list?search=READS.test',
      'users/smallsearch?searchTerm=LI',
      'projects/list?searchTerm=QUOKKAS',
      'projects/list?searchTerm=sp-2020-972',
      'projects/list?projectstatus=unknown',
      'projects/smallsearch?searchTerm=quokkas',
      'projects/map?searchTerm=QUOKKAS',
      'documents/projectdocuments?searchTerm=QUOKKAS',
      'agencies/branches?searchTerm=PERTH',
      'agencies/branches?searchTerm=100%25',
      'agencies/affiliations?searchTerm=uwa',
      'users/check-email-exists?email=LIN@reads.test',
      'users/check-email-exists?email=lan@reads.test',
      'users/check-name-exists?first_name=lin&last_name=FOX',
    ]) {
      const expected = await plain.send('GET', path, { as: LIN })
      const { status, body } = await api.send('GET', path, { as: LIN })
      expect(expected.status, path).to.equal(200)
      expect({ status, body }, path).to.deep.equal({ status: 200, body: expected.body })
    }
  })

  it('counts statuses that differ in case separately', async () => {
    await api.db
      .updateTable('projects_project')
      .set({ status: 'ACTIVE' })
      .where('id', '=', '1251')
      .execute()
    const { body } = await api.send('GET', 'projects/statistics', { as: LIN })
    expect(body).to.have.property('by_status').that.includes({ ACTIVE: 1 })
    expect(body).to.have.nested.property('by_status.active')
    await api.db
      .updateTable('projects_project')
      .set({ status: 'active' })
      .where('id', '=', '1251')
      .execute()
  })

  it('saves a text that differs only in case', async () => {
    const path = 'agencies/branches/21'
    for (const name of ['PERTH', 'Perth']) {
      expect((await api.send('PUT', path, { as: SUE, body: { name } })).status).to.equal(200)
      const { body } = await api.send('GET', path, { as: SUE })
      expect(body).to.include({ name })
    }
  })

  it('deletes an affiliation that projects list in another case', async () => {
    const { id } = await api.db
      .insertInto('agencies_affiliation')
      .values({ name: 'dbca', created_at: new Date(), updated_at: new Date() })
      .returning('id')
      .executeTakeFirstOrThrow()
    const { status, body } = await api.send('POST', 'agencies/affiliations/clean_orphaned', {
      as: SUE,
    })
    expect(status).to.equal(200)
    expect(body).to.have.property('deleted_names').that.includes('dbca')
    const found = await api.send('GET', `agencies/affiliations/${id}`, { as: SUE })
    expect(found.status).to.equal(404)
  })

  it('finds a user by the exact address and user name, and for a log-in by the address in any case', async () => {
    for (const [email, id] of [
      ['lea@spms.test', '1'],
      ['LEA@spms.test', null],
      ['Lea@SPMS.test', null],
    ] as const) {
      const found = await api.db.transaction().execute((trx) => findUserByEmail(trx, email))
      expect(found, email).to.equal(id)
    }
    await api.db
      .updateTable('users_user')
      .set({ password: 'pbkdf2_sha256$1$salt$hash' })
      .where('id', '=', String(LEA))
      .execute()
    expect(await findLogInCandidate(api.db, 'lea')).to.include({ id: '1' })
    expect(await findLogInCandidate(api.db, 'LEA')).to.equal(undefined)
    expect(await findLogInCandidate(api.db, 'LEA@spms.test')).to.include({ id: '1' })
    for (const name of ['léa', 'léa@spms.test', 'lea@spms.test ']) {
      expect(await findLogInCandidate(api.db, name), name).to.equal(undefined)
    }
  })

  it('rejects a bearer token whose e-mail address is in another case with 401', async () => {
    for (const [email, status] of [
      ['sue@spms.test', 200],
      ['SUE@spms.test', 401],
    ] as const) {
      const token = await issuer.sign({ claims: { email, email_verified: true } })
      const headers = { Authorization: `Bearer ${token}` }
      expect((await api.send('GET', 'projects/mine', { headers })).status, email).to.equal(status)
    }
  })
})
