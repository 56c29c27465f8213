import { z } from 'zod'
import * as adminTask from '../../shared/shapes/admin-task.ts'
import * as affiliation from '../../shared/shapes/affiliation.ts'
import * as agency from '../../shared/shapes/agency.ts'
import * as area from '../../shared/shapes/area.ts'
import * as branch from '../../shared/shapes/branch.ts'
import * as businessArea from '../../shared/shapes/business-area.ts'
import * as caretakerRelation from '../../shared/shapes/caretaker-relation.ts'
import * as caretaker from '../../shared/shapes/caretaker.ts'
import * as departmentalService from '../../shared/shapes/departmental-service.ts'
import * as division from '../../shared/shapes/division.ts'
import * as document from '../../shared/shapes/document.ts'
import * as member from '../../shared/shapes/member.ts'
import * as membership from '../../shared/shapes/membership.ts'
import * as miniBusinessArea from '../../shared/shapes/mini-business-area.ts'
import * as pendingDocuments from '../../shared/shapes/pending-documents.ts'
import * as personalInformation from '../../shared/shapes/personal-information.ts'
import * as profileText from '../../shared/shapes/profile-text.ts'
import * as projectDetail from '../../shared/shapes/project-detail.ts'
import * as projectPart from '../../shared/shapes/project-part.ts'
import * as projectPhoto from '../../shared/shapes/project-photo.ts'
import * as projectRow from '../../shared/shapes/project-row.ts'
import * as projectStatistics from '../../shared/shapes/project-statistics.ts'
import * as project from '../../shared/shapes/project.ts'
import * as search from '../../shared/shapes/search.ts'
import * as staffProfileCheck from '../../shared/shapes/staff-profile-check.ts'
import * as staffProfile from '../../shared/shapes/staff-profile.ts'
import * as tinyProject from '../../shared/shapes/tiny-project.ts'
import * as tinyUser from '../../shared/shapes/tiny-user.ts'
import * as user from '../../shared/shapes/user.ts'
import type { Endpoint } from '../endpoints/index.ts'

const SHAPES: Readonly<Record<string, unknown>> = {
  ...adminTask,
  ...affiliation,
  ...agency,
  ...area,
  ...branch,
  ...businessArea,
  ...caretakerRelation,
  ...caretaker,
  ...departmentalService,
  ...division,
  ...document,
  ...member,
  ...membership,
  ...miniBusinessArea,
  ...pendingDocuments,
  ...personalInformation,
  ...profileText,
  ...projectDetail,
  ...projectPart,
  ...projectPhoto,
  ...projectRow,
  ...projectStatistics,
  ...project,
  ...search,
  ...staffProfileCheck,
  ...staffProfile,
  ...tinyProject,
  ...tinyUser,
  ...user,
}

for (const [name, shape] of Object.entries(SHAPES)) {
  if (shape instanceof z.ZodType) nameSchema(shape, name)
}

/**
 * Registers names for the schemas of an operation's body and responses, unless they have one. Arrays get
 * no name, because their items have one.
 */
export function nameSchemas(operationId: string, { body, answers }: Endpoint): void {
  if (body !== undefined) nameSchema(body, `${operationId}Body`)
  for (const answer of Object.values(answers)) {
    if (answer instanceof z.ZodType && !(answer instanceof z.ZodArray)) {
      nameSchema(answer, `${operationId}Answer`)
    }
  }
}

/** Registers the schema itself and not a copy, because other schemas refer to the schema itself. */
function nameSchema(schema: z.ZodType, name: string): void {
  if (z.globalRegistry.get(schema)?.id !== undefined) return
  z.globalRegistry.add(schema, { id: `${name.charAt(0).toUpperCase()}${name.slice(1)}` })
}
