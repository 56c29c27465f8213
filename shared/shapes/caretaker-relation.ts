import { z } from 'zod'
import { adminTask } from './admin-task.ts'
import { miniBusinessArea } from './mini-business-area.ts'
import { fileUrl, id, perthTime } from './values.ts'

const account = z.strictObject({
  id,
  first_name: z.string().nullable(),
  last_name: z.string().nullable(),
  username: z.string(),
  email: z.string().nullable(),
  is_active: z.boolean(),
  is_staff: z.boolean(),
})

const work = z.strictObject({
  id,
  role: z.string().nullable(),
  business_area: miniBusinessArea.nullable(),
})

/** A relation in which one user acts for another. */
export const caretakerRelation = z.strictObject({
  id,
  user: account.extend({ caretakers: z.array(z.strictObject({ id, name: z.string() })) }),
  caretaker: account.extend({
    display_first_name: z.string().nullable(),
    display_last_name: z.string().nullable(),
    work: work.nullable(),
    image: fileUrl.nullable(),
  }),
  end_date: perthTime.nullable(),
  reason: z.string().nullable(),
  notes: z.string().nullable(),
  created_at: perthTime,
  updated_at: perthTime,
})

/** Caretaker state of a user: their caretaker, and open requests for a caretaker or to become one. */
export const caretakerCheck = z.strictObject({
  caretaker_object: caretakerRelation.nullable(),
  caretaker_request_object: adminTask.nullable(),
  become_caretaker_request_object: adminTask.nullable(),
})
