import { z } from 'zod'
import { fileUrl, id, utcTime } from './values.ts'

/** A caretaker who acts for a user, with the caretakers of that caretaker. */
export const caretaker = z.strictObject({
  id,
  /** The caretaker relation that the answer shows, which ends at `end_date`. */
  caretaker_obj_id: id,
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

/** A user for whom another user acts, with the users for whom the former acts. */
export const caretakee = caretaker.extend({
  get caretaking_for() {
    return z.array(caretakee)
  },
})
