import { z } from 'zod'
import { id, pageOf, perthTime } from './values.ts'

/** An organisation that a user is affiliated with. */
export const affiliation = z.strictObject({
  id,
  created_at: perthTime,
  updated_at: perthTime,
  name: z.string(),
})

/** A page of affiliations from a search. */
export const affiliationPage = pageOf({ affiliations: z.array(affiliation) })
