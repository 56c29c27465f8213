import { z } from 'zod'
import { id, pageOf, perthTime } from './values.ts'

/** A branch as it stands in lists. */
export const branch = z.strictObject({
  id,
  name: z.string(),
  agency: id.nullable(),
  manager: id.nullable(),
})

/** A branch by itself. */
export const branchDetail = branch.extend({ created_at: perthTime, updated_at: perthTime })

/** A page of the branches that a search found. */
export const branchPage = pageOf({ branches: z.array(branch) })
