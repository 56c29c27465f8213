import { z } from 'zod'
import { id, pageOf, perthTime } from './values.ts'

/** An organisation that somebody comes from. */
export const affiliation = z.strictObject({
  id,
  created_at: perthTime,
  updated_at: perthTime,
  name: z.string(),
})

/** A page of the affiliations that a search found. */
export const affiliationPage = pageOf({ affiliations: z.array(affiliation) })
