import { z } from 'zod'
import { tinyProject } from './tiny-project.ts'
import { fileUrl, id, perthTime } from './values.ts'

const pdf = z.strictObject({ id, file: fileUrl.nullable(), document: id, project: id })

/** A document of a project, without its text. */
export const projectDocument = z.strictObject({
  id,
  created_at: perthTime,
  updated_at: perthTime,
  creator: id.nullable(),
  modifier: id.nullable(),
  kind: z.string().nullable(),
  status: z.string(),
  project: tinyProject,
  project_lead_approval_granted: z.boolean(),
  business_area_lead_approval_granted: z.boolean(),
  directorate_approval_granted: z.boolean(),
  pdf: pdf.nullable(),
  pdf_generation_in_progress: z.boolean(),
})
