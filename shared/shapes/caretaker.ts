import { z } from 'zod'
import { fileUrl, id, utcTime } from './values.ts'

/** Somebody who acts for a user, with those who act for them in turn. */
export const caretaker = z.strictObject({
  id,
  caretaker_obj_id: id.nullable(),
  display_first_name: z.string().nullable(),
  display_last_name: z.string().nullable(),
  is_superuser: z.boolean(),
  email: z.string().nullable(),
  image: fileUrl.nullable(),
  end_date: utcTime.nullable(),
  get caretakers() {
    return z.array(caretaker)
  },
})

/** Somebody for whom a user acts, with those for whom they act in turn. */
export const caretakee = caretaker.extend({
  get caretaking_for() {
    return z.array(caretakee)
  },
})
