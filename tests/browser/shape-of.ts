import { z } from 'zod'
import { adminTask } from '../../shared/shapes/admin-task.ts'
import { affiliation } from '../../shared/shapes/affiliation.ts'
import { area } from '../../shared/shapes/area.ts'
import { branch } from '../../shared/shapes/branch.ts'
import { businessArea } from '../../shared/shapes/business-area.ts'
import { caretakerCheck } from '../../shared/shapes/caretaker-relation.ts'
import { departmentalService } from '../../shared/shapes/departmental-service.ts'
import { tinyMember } from '../../shared/shapes/member.ts'
import { membership } from '../../shared/shapes/membership.ts'
import {
  caretakerDocuments,
  pendingDocuments,
  pendingEndorsements,
} from '../../shared/shapes/pending-documents.ts'
import { personalInformation } from '../../shared/shapes/personal-information.ts'
import { profileText } from '../../shared/shapes/profile-text.ts'
import { projectDetail } from '../../shared/shapes/project-detail.ts'
import { ownProject, projectRow } from '../../shared/shapes/project-row.ts'
import { project } from '../../shared/shapes/project.ts'
import { projectPage, userPage } from '../../shared/shapes/search.ts'
import { staffProfileCheck } from '../../shared/shapes/staff-profile-check.ts'
import { me, privateUser, user } from '../../shared/shapes/user.ts'

const ok = z.strictObject({ ok: z.string().min(1) })

/** The shape in which the front end reads the answer to each of its requests. */
const SHAPES: Readonly<Record<string, z.ZodType>> = {
  'POST users/log-in': ok,
  'POST users/log-out': ok,
  'GET users/me': me,
  'GET agencies/branches': z.array(branch),
  'GET agencies/business_areas': z.array(businessArea),
  'GET agencies/affiliations': z.array(affiliation),
  'GET agencies/services': z.array(departmentalService),
  'GET locations/list': z.array(area),
  'GET adminoptions/tasks': z.array(adminTask),
  'GET documents/endorsements/pendingmyaction': pendingEndorsements,
  'GET documents/projectdocuments/pendingmyaction': pendingDocuments,
  'GET projects/mine': z.array(ownProject),
  'GET caretakers/tasks/:id': caretakerDocuments,
  'GET caretakers/check': caretakerCheck,
  'GET users/list': userPage,
  'GET users/:id': z.union([privateUser, user]),
  'GET users/:id/projects': z.array(projectRow),
  'GET users/:id/check_staff_profile': staffProfileCheck,
  'PUT users/:id/profile': profileText,
  'PUT users/:id/pi': personalInformation,
  'PUT users/:id/membership': membership,
  'GET projects/list': projectPage,
  'GET projects/listofyears': z.array(z.int()),
  'GET projects/:id': projectDetail,
  'GET projects/:id/team': z.array(tinyMember),
  'POST projects/list': project,
}

/**
 * Returns the shape of the answer to a request for a path below `/api/v1`.
 * @throws if the front end does not send it.
 */
export function shapeOf(method: string, path: string): z.ZodType {
  const request = `${method} ${path.replaceAll(/(?<=\/)\d+(?=\/|$)/g, ':id')}`
  const shape = SHAPES[request]
  if (shape === undefined) throw new Error(`no shape for ${request}`)
  return shape
}
