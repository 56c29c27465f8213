import { once } from 'node:events'
import { get, type IncomingMessage } from 'node:http'
import { text } from 'node:stream/consumers'
import { expect } from 'chai'
import { sql } from 'kysely'
import { parseCsv } from '../support/parse-csv.ts'
import { until } from '../support/until.ts'
import { startTestApi, type TestApi } from './test-api.ts'

const [LEA, MEL, SUE, OUT] = [1, 2, 3, 4]
const COLUMNS = [
  'ID',
  'Project Code',
  'Status',
  'Type',
  'Year',
  'Title',
  'Business Area',
  'Business Area Leader',
  'Team Members',
  'Cost Center ID',
  'Start Date',
  'End Date',
]
const FIRST_FILLER = 10_000
const FILLERS = 1_000

describe('downloads of projects', function () {
  this.timeout(60_000)
  let api: TestApi

  before(async () => {
    // One part of an expensive read at a time, without a queue.
    const expensiveReads = { searchesPerMinute: 0, exportsPerMinute: 30, atOnce: 1, queue: 0 }
    api = await startTestApi({ http: { expensiveReads } })
    await api.reset()
    await sql`
      update agencies_businessarea set leader_id = 2, cost_center = 77 where id = 31
    `.execute(api.db)
    await sql`
      update projects_project set title = '<p>Orchids, <b>rare</b> &amp; old</p>' where id = 51
    `.execute(api.db)
    await sql`update projects_project set title = '=cmd|''/c calc''!A1' where id = 52`.execute(
      api.db,
    )
    await sql`update users_user set first_name = '@Mel', last_name = null where id = 2`.execute(
      api.db,
    )
    await sql`update users_user set is_staff = false where id in (3, 4)`.execute(api.db)
  })
  after(() => api[Symbol.asyncDispose]())

  const download = async (path: string, as: number) => {
    const { status, headers, bytes } = await api.send('GET', `projects/${path}`, { as })
    return { status, headers, records: parseCsv(bytes.toString()) }
  }

  it('are CSV files with a record for each project, for staff and superusers [T69]', async () => {
    const { status, headers, records } = await download('download', LEA)
    expect(status).to.equal(200)
    expect(headers).to.include({
      'content-type': 'text/csv; charset=utf-8',
      'content-disposition': 'attachment; filename="all_projects.csv"',
      'cache-control': 'private, no-store',
      'x-content-type-options': 'nosniff',
    })
    const [head, ...rows] = records
    expect(head).to.deep.equal(COLUMNS)
    expect(rows.map(([id]) => id)).to.deep.equal(['51', '52', '204', '205'])
    expect(rows[0]).to.deep.equal([
      '51',
      'SP-2020-1',
      'active',
      'science',
      '2020',
      'Orchids, rare & old',
      'Ecology',
      // Names and titles that look like formulas are marked as text.
      "'@Mel None (mel)",
      'Lea Ash, @Mel None, Old Fir',
      '77',
      '2020-02-01',
      '2025-12-31',
    ])
    expect(rows[1]?.slice(5)).to.deep.equal([
      "'=cmd|'/c calc'!A1",
      '',
      '',
      "'@Mel None",
      '',
      '',
      '',
    ])
    // Sue is a superuser without being staff.
    expect((await download('download', SUE)).records).to.deep.equal(records)
  })

  it('of the latest annual report contain the kinds of reports [T69]', async () => {
    const { status, headers, records } = await download('download-ar', MEL)
    expect(status).to.equal(200)
    expect(headers).to.include({
      'content-type': 'text/csv; charset=utf-8',
      'content-disposition': 'attachment; filename="annual_report_projects.csv"',
    })
    expect(records[0]).to.deep.equal([...COLUMNS, 'Report Type'])
    expect(records.slice(1).map((row) => [row[0], row.at(-1)])).to.deep.equal([
      ['204', 'Progress & Student'],
    ])

    await sql`
      insert into documents_annualreport
        (id, created_at, updated_at, year, date_open, date_closed, pdf_generation_in_progress, is_published)
      values (301, now(), now(), 2021, '2021-01-01', '2021-12-31', false, false)
    `.execute(api.db)
    expect((await download('download-ar', MEL)).records).to.have.length(1)
    await sql`
      insert into documents_studentreport (document_id, project_id, report_id, year)
      values (221, 204, 301, 2021)
    `.execute(api.db)
    await sql`
      insert into documents_progressreport (document_id, project_id, report_id, year, is_final_report)
      values (57, 51, 301, 2021, false)
    `.execute(api.db)
    const latest = await download('download-ar', MEL)
    expect(latest.records.slice(1).map((row) => [row[0], row.at(-1)])).to.deep.equal([
      ['51', 'Progress'],
      ['204', 'Student'],
    ])
  })

  it('of an annual report are missing without one', async () => {
    await sql`delete from documents_progressreport`.execute(api.db)
    await sql`delete from documents_studentreport`.execute(api.db)
    await sql`delete from documents_annualreport`.execute(api.db)
    const { status, body } = await api.send('GET', 'projects/download-ar', { as: SUE })
    expect(status).to.equal(404)
    expect(body).to.deep.include({ detail: 'No annual reports found' })
  })

  it('do not exist for other users [T69]', async () => {
    for (const path of ['projects/download', 'projects/download-ar']) {
      expect((await api.send('GET', path)).status).to.equal(401)
      // The previous API answers with 403, at which its page logs the user out.
      const { status, body } = await api.send('GET', path, { as: OUT })
      expect(status).to.equal(404)
      expect(body).to.deep.include({ detail: 'Not found.' })
    }
  })

  it('are limited for each user', async () => {
    const statuses = new Set<number>()
    for (let times = 0; times < 100 && !statuses.has(429); times++) {
      statuses.add((await api.send('GET', 'projects/download', { as: MEL })).status)
    }
    expect([...statuses]).to.deep.equal([200, 429])
  })

  it('hold neither a connection nor a slot while the client does not read, or after it left', async () => {
    // A type is not limited in length: 24 MB do not fit into the buffers of the sockets.
    await sql`
      insert into projects_project
        (id, kind, status, year, number, title, deletion_requested, hidden_from_staff_profiles)
      select ${FIRST_FILLER}::integer + n, repeat('x', 24000), 'active', 2020, n, 'Filler ' || n, false, '{}'
      from generate_series(1, ${FILLERS}::integer) n
    `.execute(api.db)
    const open = async (): Promise<IncomingMessage> => {
      const { port, headers } = await api.connect(LEA)
      const outgoing = get({ port, path: '/api/v1/projects/download', headers })
      outgoing.on('error', () => {})
      const [response] = (await once(outgoing, 'response')) as [IncomingMessage]
      return response.pause()
    }
    const isIdle = async () => {
      const { rows } = await sql`
        select from pg_stat_activity
        where application_name = 'spms-test-api' and state <> 'idle' and pid <> pg_backend_pid()
          and datname = current_database()
      `.execute(api.db)
      return rows.length === 0
    }
    const last = String(FIRST_FILLER + FILLERS)
    const paused = await open()
    // Its batches are at most one query apart, unless it waits for the client.
    let idle = 0
    await until(async () => (idle = (await isIdle()) ? idle + 1 : 0) > 10)
    await api.db.deleteFrom('projects_project').where('id', '=', last).execute()

    const other = await api.send('GET', 'projects/smallsearch', { as: SUE })
    expect(other.status).to.equal(200)

    const ids = parseCsv(await text(paused)).map(([id]) => id)
    // The last batch is read after the deletion, so the rest was not read ahead.
    expect(ids).to.have.length(1 + 4 + FILLERS - 1)
    expect(ids).not.to.include(last)

    const left = await open()
    left.destroy()
    idle = 0
    await until(async () => (idle = (await isIdle()) ? idle + 1 : 0) > 10)
  })
})
