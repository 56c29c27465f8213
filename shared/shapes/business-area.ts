import { z } from 'zod'
import { fileUrl, id } from './values.ts'

/** Somebody on the e-mail list of a division. */
const emailUser = z.strictObject({ id, email: z.string().nullable(), name: z.string() })

const division = z.strictObject({
  id,
  name: z.string(),
  slug: z.string(),
  director: id.nullable(),
  approver: id.nullable(),
  directorate_email_list: z.array(emailUser),
})

/** A business area as users see it. */
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

/** A business area as everybody sees it: without the names and e-mails of its division's list. */
export const publicBusinessArea = businessArea.extend({
  division: division.extend({ directorate_email_list: z.tuple([]) }).nullable(),
})
