import { z } from 'zod'
import { id, pageOf, perthTime } from './values.ts'

/** A branch in lists. */
export const branch = z.strictObject({
  id,
  name: z.string(),
  agency: id.nullable(),
  manager: id.nullable(),
})

/** A single branch. */
export const branchDetail = branch.extend({ created_at: perthTime, updated_at: perthTime })

/** A page of branches from a search. */
export const branchPage = pageOf({ branches: z.array(branch) })
