import type { People } from './people.ts'
import { html, words } from './prose.ts'
import type { Project } from './projects.ts'
import { createRandom, type Random } from './random.ts'
import type { Rows } from './rows.ts'
import type { Size } from './size.ts'
import { calendarDate, FIRST_YEAR, stamps, THIS_YEAR } from './time.ts'

interface Document {
  readonly project: Project
  readonly kind: 'concept' | 'projectplan' | 'progressreport' | 'studentreport' | 'projectclosure'
  readonly year: number
}

const STATUSES = ['approved', 'inapproval', 'inreview', 'new', 'revising'] as const

/** Adds annual reports, and the documents of projects with their texts. */
export function addDocuments(
  rows: Rows,
  size: Size,
  { staff, printed }: People,
  projects: readonly Project[],
): void {
  const random = createRandom('documents')
  const reports = addAnnualReports(rows, staff)
  for (const document of plan(random, size, projects)) {
    const { project, kind } = document
    // Documents of earlier years have been approved, except a few and those of the printed users.
    const isOld = document.year < THIS_YEAR - 1 && random.chance(0.97)
    const isSettled = isOld && !printed.some((user) => user === project.leader)
    const status = isSettled ? 'approved' : random.pickSkewed(STATUSES)
    const leaderApproved = ['inreview', 'inapproval', 'approved'].includes(status)
    const id = rows.add('documents_projectdocument', {
      ...stamps(random),
      project_id: project.id,
      creator_id: random.chance(0.9) ? random.pick(staff) : null,
      modifier_id: random.chance(0.9) ? random.pick(staff) : null,
      kind,
      status,
      project_lead_approval_granted: leaderApproved,
      business_area_lead_approval_granted: ['inapproval', 'approved'].includes(status),
      directorate_approval_granted: status === 'approved',
      pdf_generation_in_progress: false,
    })
    addText(rows, random, document, id, reports)
    if (status === 'approved' && random.chance(0.5)) {
      rows.add('medias_projectdocumentpdf', {
        ...stamps(random),
        file: `project_documents/${id}.pdf`,
        size: random.int(50_000, 3_000_000),
        document_id: id,
        project_id: project.id,
      })
    }
    if (random.chance(0.05)) addComments(rows, random, staff, id)
  }
}

/** Returns concepts, plans and closures, and as many reports as the size allows, ordered by project. */
function plan(random: Random, size: Size, projects: readonly Project[]): Document[] {
  const basics: Document[] = []
  const reports: Document[] = []
  for (const project of projects) {
    const { kind, year, lastYear, isClosed } = project
    if (random.chance(0.95)) basics.push({ project, kind: 'concept', year })
    if (random.chance(0.85)) basics.push({ project, kind: 'projectplan', year })
    if (isClosed) basics.push({ project, kind: 'projectclosure', year: lastYear })
    for (let y = year; y <= lastYear; y++) {
      const report = kind === 'student' ? 'studentreport' : 'progressreport'
      reports.push({ project, kind: report, year: y })
    }
  }
  return [...basics, ...random.sample(reports, size.documents - basics.length)].toSorted(
    (a, b) => a.project.id - b.project.id || a.year - b.year,
  )
}

function addText(
  rows: Rows,
  random: Random,
  { project, kind, year }: Document,
  document: number,
  reports: ReadonlyMap<number, number>,
): void {
  const text = () => (random.chance(0.9) ? html(random, random.length(250, 900, 3_000)) : null)
  const ids = { document_id: document, project_id: project.id }
  const report = reports.get(year)
  if (report === undefined) throw new Error(`no annual report for ${year}`)

  switch (kind) {
    case 'concept':
      rows.add('documents_conceptplan', {
        ...ids,
        background: text(),
        aims: text(),
        outcome: text(),
        collaborations: text(),
        strategic_context: text(),
      })
      break
    case 'projectplan': {
      const projectPlan = rows.add('documents_projectplan', {
        ...ids,
        background: text(),
        aims: text(),
        outcome: text(),
        methodology: text(),
        listed_references: text(),
      })
      const endorsement = rows.add('documents_endorsement', {
        project_plan_id: projectPlan,
        ae_endorsement_required: random.chance(0.3),
        ae_endorsement_provided: random.chance(0.2),
        no_specimens: random.chance(0.3) ? words(random, 80) : null,
        data_management: text(),
      })
      addPlanFiles(rows, random, projectPlan, endorsement)
      break
    }
    case 'progressreport':
      rows.add('documents_progressreport', {
        ...ids,
        report_id: report,
        year,
        is_final_report: project.isClosed && year === project.lastYear,
        context: text(),
        aims: text(),
        progress: text(),
        implications: text(),
      })
      break
    case 'studentreport':
      rows.add('documents_studentreport', {
        ...ids,
        report_id: report,
        progress_report: text(),
        year,
      })
      break
    case 'projectclosure':
      rows.add('documents_projectclosure', {
        ...ids,
        intended_outcome: random.chance(0.9) ? 'completed' : 'terminated',
        reason: text(),
        scientific_outputs: text(),
        data_location: random.chance(0.5) ? words(random, 80) : null,
      })
  }
}

function addPlanFiles(rows: Rows, random: Random, projectPlan: number, endorsement: number): void {
  if (random.chance(0.1)) {
    rows.add('medias_projectplanmethodologyphoto', {
      ...stamps(random),
      file: `methodology_images/${projectPlan}.jpg`,
      size: random.int(50_000, 3_000_000),
      project_plan_id: projectPlan,
    })
  }
  if (random.chance(0.05)) {
    rows.add('medias_aecendorsementpdf', {
      ...stamps(random),
      file: `aec_endorsements/${endorsement}.pdf`,
      size: random.int(50_000, 3_000_000),
      endorsement_id: endorsement,
    })
  }
}

function addComments(rows: Rows, random: Random, staff: readonly number[], document: number): void {
  const comment = rows.add('communications_comment', {
    ...stamps(random),
    user_id: random.chance(0.95) ? random.pick(staff) : null,
    document_id: document,
    text: words(random, random.int(40, 400)),
    ip_address: `192.0.2.${random.int(1, 254)}`,
    is_public: true,
    is_removed: random.chance(0.05),
  })
  for (const user of random.sample(staff, random.int(0, 2))) {
    rows.add('communications_reaction', {
      ...stamps(random),
      user_id: user,
      comment_id: comment,
      reaction: random.pick(['thumbup', 'heart', 'surprised']),
    })
  }
}

/** Adds an annual report for each year, and returns their ids by year. */
function addAnnualReports(rows: Rows, staff: readonly number[]): ReadonlyMap<number, number> {
  const random = createRandom('annual reports')
  const reports = new Map<number, number>()
  for (let year = FIRST_YEAR; year <= THIS_YEAR; year++) {
    const report = rows.add('documents_annualreport', {
      ...stamps(random),
      creator_id: random.pick(staff),
      modifier_id: random.pick(staff),
      year,
      dm: html(random, 1_500),
      service_delivery_intro: html(random, 800),
      research_intro: html(random, 800),
      date_open: calendarDate(year, 5, 1),
      date_closed: calendarDate(year, 8, 31),
      pdf_generation_in_progress: false,
      is_published: year < THIS_YEAR,
    })
    reports.set(year, report)
  }
  return reports
}
