import {
  type ExportedProject,
  findExportedProjects,
  findLatestReport,
} from '../../db/queries/exported-projects.ts'
import { PublicError } from '../../shared/errors.ts'
import { type Endpoint, getPieces, readRule, type RunQuery, type Trx } from '../endpoints/index.ts'
import { type Cell, csvRecord } from '../http/csv.ts'
import { plainText } from '../plain-text.ts'

const TYPE = 'text/csv'
/** Projects per batch: small, so that a batch neither holds a connection long nor delays other requests. */
const BATCH = 100

/** The columns of a table of projects by name. */
type Columns = Readonly<Record<string, (project: ExportedProject) => Cell>>

const COLUMNS: Columns = {
  ID: ({ id }) => Number(id),
  'Project Code': ({ tag }) => tag,
  Status: ({ status }) => status,
  Type: ({ kind }) => kind,
  Year: ({ year }) => year,
  Title: ({ title }) => plainText(title),
  'Business Area': ({ businessArea }) => businessArea,
  'Business Area Leader': ({ areaLeader }) => areaLeader,
  'Team Members': ({ members }) => members,
  'Cost Center ID': ({ costCenter }) => costCenter,
  'Start Date': ({ startDate }) => startDate,
  'End Date': ({ endDate }) => endDate,
}

const REPORT_COLUMNS: Columns = {
  ...COLUMNS,
  'Report Type': ({ hasProgressReport, hasStudentReport }) =>
    [hasProgressReport && 'Progress', hasStudentReport && 'Student'].filter(Boolean).join(' & '),
}

/** The first batch of projects, and the report to which they contribute. */
interface Download {
  readonly first: readonly ExportedProject[]
  readonly reportId?: string
}

const staff = readRule({
  description: 'staff and superusers',
  roles: ['staff', 'superuser'],
  enforce({ isStaff, isSuperuser }) {
    // 404 instead of 403, at which clients log the user out.
    if (!isStaff && !isSuperuser) throw new PublicError('not_found', 'Not found.')
  },
})

const find = (trx: Trx, reportId: string | undefined, after = '0') =>
  findExportedProjects(trx, { reportId, after, limit: BATCH })

/** Tables of projects as CSV. */
export const projectDownloadEndpoints: readonly Endpoint[] = [
  getPieces('/projects/download', {
    summary: 'Download all projects as CSV',
    access: staff,
    answers: { 200: TYPE },
    cost: 'export',
    read: async (trx): Promise<Download> => ({ first: await find(trx, undefined) }),
    pieces: (download, run) => recordsOf(COLUMNS, download, run),
    attachment: { type: `${TYPE}; charset=utf-8`, fileName: 'all_projects.csv' },
  }),
  getPieces('/projects/download-ar', {
    summary: 'Download the projects of the latest annual report as CSV',
    access: staff,
    answers: { 200: TYPE },
    cost: 'export',
    absent: 'No annual reports found',
    async read(trx): Promise<Download | null> {
      const reportId = await findLatestReport(trx)
      return reportId === null ? null : { reportId, first: await find(trx, reportId) }
    },
    pieces: (download, run) => recordsOf(REPORT_COLUMNS, download, run),
    attachment: { type: `${TYPE}; charset=utf-8`, fileName: 'annual_report_projects.csv' },
  }),
]

/**
 * Yields the records of a table in batches. Each batch is read in its own transaction, so that a slow
 * client holds no connection. Projects changed in the meantime may be shown with their new values.
 */
async function* recordsOf(
  columns: Columns,
  { first, reportId }: Download,
  run: RunQuery,
): AsyncGenerator<string> {
  const cells = Object.values(columns)
  yield csvRecord(Object.keys(columns))
  for (let batch = first, after = batch.at(-1)?.id; after !== undefined; after = batch.at(-1)?.id) {
    yield batch.map((project) => csvRecord(cells.map((cell) => cell(project)))).join('')
    const last = after
    batch = batch.length < BATCH ? [] : await run((trx) => find(trx, reportId, last))
  }
}
