import { z } from 'zod'
import { division } from './business-area.ts'
import { id, perthTime } from './values.ts'

/** A single division. Its e-mail list contains only ids of users. */
export const divisionDetail = division.extend({
  created_at: perthTime,
  updated_at: perthTime,
  directorate_email_list: z.array(id),
})
