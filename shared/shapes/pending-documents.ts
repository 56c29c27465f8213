import { z } from 'zod'
import { projectDocument } from './document.ts'
import { fileUrl, id } from './values.ts'

/** A document with the year in which it was begun. */
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

/** The documents that wait for a user, by the part in which they are asked. */
export const pendingDocuments = byPart(tinyDocument)

/** The same of those for whom a user acts. */
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

/** The endorsements that wait for the animal ethics committee. */
export const pendingEndorsements = z.strictObject({
  aec: z.array(z.strictObject({ id, project_plan: projectPlan })),
})
