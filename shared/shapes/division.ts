import { z } from 'zod'
import { division } from './business-area.ts'
import { id, perthTime } from './values.ts'

/** A division by itself. Of those on its e-mail list it names the ids only. */
export const divisionDetail = division.extend({
  created_at: perthTime,
  updated_at: perthTime,
  directorate_email_list: z.array(id),
})
