import { z } from 'zod'
import { fileUrl, id, perthTime } from './values.ts'

const avatar = z.strictObject({
  id,
  user: z.strictObject({ id, username: z.string() }),
  created_at: perthTime,
  updated_at: perthTime,
  file: fileUrl.nullable(),
  size: z.int().nonnegative(),
})

const taskUser = z.strictObject({
  id,
  display_first_name: z.string().nullable(),
  display_last_name: z.string().nullable(),
  email: z.string().nullable(),
  image: avatar.nullable(),
})

/** A request that an administrator must decide. */
export const adminTask = z.strictObject({
  id,
  requester: taskUser.extend({
    id: z.int().nonnegative().meta({ description: '0 if the requester was deleted.' }),
  }),
  primary_user: taskUser.nullable(),
  project: z.strictObject({ id, title: z.string() }).nullable(),
  secondary_users: z.array(taskUser),
  created_at: perthTime,
  updated_at: perthTime,
  action: z.string(),
  status: z.string(),
  reason: z.string().nullable(),
  start_date: perthTime.nullable(),
  end_date: perthTime.nullable(),
  notes: z.string().nullable(),
})
