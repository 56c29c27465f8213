import { expect } from 'chai'
import type { Kysely } from 'kysely'
import { openDatabase } from '../../db/database.ts'
import { findDocumentPage, type DocumentFilter } from '../../db/queries/document-list.ts'
import { findPendingEndorsements } from '../../db/queries/endorsements.ts'
import { findCaretakerDocuments, findPendingDocuments } from '../../db/queries/pending-documents.ts'
import { findProjectDocuments } from '../../db/queries/project-documents.ts'
import type { Database } from '../../db/schema.ts'
import {
  caretakerDocuments,
  pendingDocuments,
  pendingEndorsements,
} from '../../shared/shapes/pending-documents.ts'
import { documentPage } from '../../shared/shapes/search.ts'
import { createTestDatabase, type TestDatabase } from '../support/database.ts'
import { ACTIVE, CLOSED } from '../support/project-statuses.ts'
import { readTables, type Row, type Tables } from '../support/tables.ts'

type Part = 'team' | 'lead' | 'ba' | 'directorate'

describe('pending documents', function () {
  this.timeout(120_000)

  let database: TestDatabase
  let db: Kysely<Database>
  let tables: Tables
  let projects: ReadonlyMap<unknown, Row>
  /** Whether a user leads a project, by "project user"; undefined for other users than members. */
  let leads: ReadonlyMap<string, unknown>
  let unfinished: readonly Row[]

  before(async () => {
    database = await createTestDatabase({ seeded: true })
    db = openDatabase({ url: database.url, poolSize: 1, applicationName: 'pending-test' })
    tables = await readTables(db, [
      'agencies_businessarea',
      'caretakers_caretaker',
      'documents_endorsement',
      'documents_projectdocument',
      'documents_projectplan',
      'projects_project',
      'projects_projectmember',
      'users_user',
      'users_userwork',
    ])
    projects = new Map(tables.every('projects_project').map((row) => [row['id'], row]))
    leads = new Map(
      tables
        .every('projects_projectmember')
        .map((row) => [`${String(row['project_id'])} ${String(row['user_id'])}`, row['is_leader']]),
    )
    unfinished = tables
      .every('documents_projectdocument')
      .filter(({ status }) => status !== 'approved')
  })

  after(async () => {
    await db.destroy()
    await database[Symbol.asyncDispose]()
  })

  const projectOf = (document: Row) => projects.get(document['project_id'])

  function isDirectorate(userId: number) {
    const work = tables.one('users_userwork', 'user_id', userId)
    const area = tables.one('agencies_businessarea', 'id', work?.['business_area_id'])
    return (
      tables.one('users_user', 'id', userId)?.['is_superuser'] === true ||
      area?.['name'] === 'Directorate'
    )
  }

  /** Returns the parts in which an unfinished document waits for a user. */
  function partsOf(document: Row, userId: number): Part[] {
    const project = projectOf(document)
    const isOpen = !CLOSED.includes(String(project?.['status']))
    const [byLead, byArea, byDirectorate] = [
      document['project_lead_approval_granted'],
      document['business_area_lead_approval_granted'],
      document['directorate_approval_granted'],
    ]
    const area = tables.one('agencies_businessarea', 'id', project?.['business_area_id'])
    const isLeader = leads.get(`${String(document['project_id'])} ${userId}`)
    const waits = {
      team: isLeader === false && !byLead,
      lead: isOpen && isLeader === true && !byLead,
      ba: isOpen && area?.['leader_id'] === userId && byLead && !byArea,
      directorate: isOpen && isDirectorate(userId) && byArea && !byDirectorate,
    }
    return (Object.keys(waits) as Part[]).filter((part) => waits[part])
  }

  const waitingFor = (userId: number, part?: Part) =>
    unfinished
      .filter((document) => {
        const parts = partsOf(document, userId)
        return part ? parts.includes(part) : parts.length > 0
      })
      .map(({ id }) => Number(id))

  const userWaitedFor = () =>
    tables
      .every('projects_projectmember')
      .map(({ user_id }) => Number(user_id))
      .find((userId) => waitingFor(userId).length > 0) as number

  const idsIn = (documents: readonly { readonly id: number }[]) => documents.map(({ id }) => id)

  const find = async (userId: number) =>
    pendingDocuments.parse(JSON.parse(await findPendingDocuments(db, String(userId))))

  it('are listed for each user by the role that must approve them [T78]', async () => {
    const seen = new Set<Part>()
    const userIds = tables.every('users_user').map(({ id }) => Number(id))
    const leaders = tables.every('agencies_businessarea').map(({ leader_id }) => Number(leader_id))
    const users = new Set([
      ...leaders.filter((id) => id > 0).slice(0, 5),
      ...userIds.filter(isDirectorate).slice(0, 5),
      ...userIds.filter((id) => id % 100 === 0),
    ])
    for (const userId of users) {
      const found = await find(userId)
      const works = tables.one('users_userwork', 'user_id', userId) !== undefined
      expect(idsIn(found.all), `user ${userId}`).to.deep.equal(works ? waitingFor(userId) : [])
      for (const part of ['team', 'lead', 'ba', 'directorate'] as const) {
        expect(idsIn(found[part]), `${part} of ${userId}`).to.deep.equal(
          works ? waitingFor(userId, part) : [],
        )
        if (found[part].length > 0) seen.add(part)
      }
    }
    expect([...seen]).to.have.members(['team', 'lead', 'ba', 'directorate'])
  })

  it('are empty for a user without a work record and for a user that does not exist [T78]', async () => {
    const id = userWaitedFor()
    expect((await find(id)).all).to.have.length.above(0)
    const trx = await db.startTransaction().execute()
    await trx.deleteFrom('users_userwork').where('user_id', '=', String(id)).execute()
    const found = await findPendingDocuments(trx, String(id))
    await trx.rollback().execute()
    expect(JSON.parse(found)).to.deep.equal({
      all: [],
      team: [],
      lead: [],
      ba: [],
      directorate: [],
    })
    expect((await find(999_999)).all).to.deep.equal([])
  })

  it('have the same fields as in other lists, and the year of their creation', async () => {
    const { all } = await find(userWaitedFor())
    const [document] = all
    const others: { id: number }[] = JSON.parse(
      await findProjectDocuments(db, String(document?.project.id)),
    )
    const { created_year, ...rest } = document ?? { created_year: 0, id: 0, created_at: '' }
    expect(others).to.deep.include(rest)
    expect(created_year).to.equal(Number(rest.created_at.slice(0, 4)))
  })

  it('of covered users name the covered user, also through a chain of caretakers', async () => {
    const now = Date.now()
    const acts = tables
      .every('caretakers_caretaker')
      .filter(({ end_date }) => end_date === null || Date.parse(String(end_date)) > now)
    const covered = (userId: number) => {
      const all = new Set<number>()
      for (const queue = [userId]; queue.length > 0;) {
        const next = queue.pop()
        for (const { caretaker_id, user_id } of acts) {
          if (caretaker_id !== next || all.has(Number(user_id))) continue
          all.add(Number(user_id))
          queue.push(Number(user_id))
        }
      }
      all.delete(userId)
      return [...all].toSorted((a, b) => a - b)
    }
    let throughChain = 0
    let shown = 0
    for (const userId of new Set(acts.map(({ caretaker_id }) => Number(caretaker_id)))) {
      const users = covered(userId)
      const direct = acts.filter(({ caretaker_id }) => caretaker_id === userId).length
      if (users.length > direct) throughChain += 1
      const found = caretakerDocuments.parse(
        JSON.parse(await findCaretakerDocuments(db, String(userId))),
      )
      for (const part of ['team', 'lead', 'ba'] as const) {
        const expected = unfinished.flatMap((document) => {
          const first = users.find((user) => partsOf(document, user).includes(part))
          return first === undefined ? [] : { id: document['id'], for: first }
        })
        expect(
          found[part].map(({ id, for_user }) => ({ id, for: for_user?.id })),
          `${part} of ${userId}`,
        ).to.deep.equal(expected)
        shown += expected.length
      }
      const seesDirectorate = !isDirectorate(userId) && users.some(isDirectorate)
      expect(found.directorate.length > 0).to.equal(seesDirectorate)
      expect(found.directorate.every(({ for_user }) => for_user === null)).to.equal(true)
      const parts = [found.directorate, found.ba, found.lead, found.team].flatMap(idsIn)
      expect(idsIn(found.all)).to.deep.equal([...new Set(parts)].toSorted((a, b) => a - b))
    }
    expect(throughChain).to.be.above(0)
    expect(shown).to.be.above(0)
    expect(JSON.parse(await findCaretakerDocuments(db, '999999'))).to.deep.equal({
      all: [],
      team: [],
      lead: [],
      ba: [],
      directorate: [],
    })
  })

  it('for endorsement are listed for the ethics committee and superusers [T79]', async () => {
    const pending = tables
      .every('documents_endorsement')
      .filter((it) => it['ae_endorsement_required'] && !it['ae_endorsement_provided'])
      .filter((it) => {
        const plan = tables.one('documents_projectplan', 'id', it['project_plan_id'])
        const project = tables.one('projects_project', 'id', plan?.['project_id'])
        return ACTIVE.includes(String(project?.['status']))
      })
      .map(({ id }) => Number(id))
    expect(pending).to.have.length.above(5)
    const endorsements = async (trx: Kysely<Database>, id: unknown) =>
      pendingEndorsements.parse(JSON.parse(await findPendingEndorsements(trx, String(id)))).aec
    const superuser = tables.one('users_user', 'is_superuser', true)
    const other = tables
      .every('users_user')
      .find(({ is_superuser, is_aec }) => !is_superuser && !is_aec)
    expect(idsIn(await endorsements(db, superuser?.['id']))).to.deep.equal(pending)
    expect(await endorsements(db, other?.['id'])).to.deep.equal([])
    const trx = await db.startTransaction().execute()
    await trx
      .updateTable('users_user')
      .set({ is_aec: true })
      .where('id', '=', String(other?.['id']))
      .execute()
    const seen = await endorsements(trx, other?.['id'])
    await trx.rollback().execute()
    expect(idsIn(seen)).to.deep.equal(pending)
  })

  it('are found by kind, status, project, year and search term, newest first', async () => {
    const mentions = (term: string) => (document: Row) =>
      [projectOf(document)?.['title'], projectOf(document)?.['description'], document['kind']].some(
        (text) =>
          String(text ?? '')
            .toLowerCase()
            .includes(term),
      )
    const filters: readonly (readonly [DocumentFilter, (document: Row) => boolean])[] = [
      [{}, () => true],
      [{ kind: 'concept' }, ({ kind }) => kind === 'concept'],
      [{ status: 'inreview' }, ({ status }) => status === 'inreview'],
      [{ project: '12' }, ({ project_id }) => project_id === 12],
      [{ year: 2020 }, (document) => projectOf(document)?.['year'] === 2020],
      [{ searchTerm: 'STUDENTrep' }, mentions('studentrep')],
      [{ searchTerm: '%' }, mentions('%')],
    ]
    const time = ({ created_at }: Row) => String(created_at)
    for (const [filter, passes] of filters) {
      const expected = tables
        .every('documents_projectdocument')
        .filter(passes)
        .toSorted(
          (a, b) =>
            Date.parse(time(b)) - Date.parse(time(a)) ||
            (time(b) < time(a) ? -1 : Number(time(b) > time(a))) ||
            Number(b['id']) - Number(a['id']),
        )
        .map(({ id }) => Number(id))
      const { body } = await findDocumentPage(db, filter, { page: 2, pageSize: 50 })
      const page = documentPage.parse(JSON.parse(body))
      expect(idsIn(page.documents), JSON.stringify(filter)).to.deep.equal(expected.slice(50, 100))
      expect(page.total_results).to.equal(expected.length)
    }
  })
})
