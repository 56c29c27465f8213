import { z } from 'zod'
import { projectDocument } from './document.ts'
import { fileUrl, id } from './values.ts'

/** A document with the year of its creation. */
const tinyDocument = projectDocument.extend({ created_year: z.int() })

const coveredUser = z.strictObject({
  id,
  email: z.string().nullable(),
  display_first_name: z.string().nullable(),
  display_last_name: z.string().nullable(),
  image: fileUrl.nullable(),
})

const byPart = <Document extends z.ZodType>(document: Document) =>
  z.strictObject({
    all: z.array(document),
    team: z.array(document),
    lead: z.array(document),
    ba: z.array(document),
    directorate: z.array(document),
  })

/** Documents that wait for a user's approval, by the role in which the user must act. */
export const pendingDocuments = byPart(tinyDocument)

/** Documents that wait for the users for whom a caretaker acts, by role. */
export const caretakerDocuments = byPart(tinyDocument.extend({ for_user: coveredUser.nullable() }))

const projectPlan = z.strictObject({
  id,
  document: tinyDocument,
  background: z.string().nullable(),
  aims: z.string().nullable(),
  outcome: z.string().nullable(),
  knowledge_transfer: z.string().nullable(),
  listed_references: z.string().nullable(),
  operating_budget: z.string().nullable(),
  operating_budget_external: z.string().nullable(),
  related_projects: z.string().nullable(),
})

/** Endorsements that wait for the animal ethics committee. */
export const pendingEndorsements = z.strictObject({
  aec: z.array(z.strictObject({ id, project_plan: projectPlan })),
})
