import { z } from 'zod'
import { fileUrl, id, noItems, perthTime } from './values.ts'

/** A user on the e-mail list of a division. */
const emailUser = z.strictObject({ id, email: z.string().nullable(), name: z.string() })

/** A division inside its business areas. */
export const division = z.strictObject({
  id,
  name: z.string(),
  slug: z.string(),
  director: id.nullable(),
  approver: id.nullable(),
  directorate_email_list: z.array(emailUser),
})

/** A business area for authenticated users. */
export const businessArea = z.strictObject({
  id,
  name: z.string(),
  slug: z.string().nullable(),
  focus: z.string().nullable(),
  division: division.nullable(),
  introduction: z.string().nullable(),
  image: z.strictObject({ id, file: fileUrl.nullable() }).nullable(),
  leader: id.nullable(),
  caretaker: id.nullable(),
  finance_admin: id.nullable(),
  data_custodian: id.nullable(),
  is_active: z.boolean(),
})

/** A business area for the public: without the names and addresses on its division's e-mail list. */
export const publicBusinessArea = businessArea.extend({
  division: division.extend({ directorate_email_list: noItems }).nullable(),
})

/** A single business area, with all its columns. */
export const businessAreaDetail = z.strictObject({
  id,
  created_at: perthTime,
  updated_at: perthTime,
  name: z.string(),
  slug: z.string().nullable(),
  published: z.boolean(),
  is_active: z.boolean(),
  cost_center: z.int().nullable(),
  old_leader_id: z.int().nullable(),
  old_finance_admin_id: z.int().nullable(),
  old_data_custodian_id: z.int().nullable(),
  focus: z.string().nullable(),
  introduction: z.string().nullable(),
  agency: id,
  division: id.nullable(),
  leader: id.nullable(),
  finance_admin: id.nullable(),
  data_custodian: id.nullable(),
  caretaker: id.nullable(),
})
