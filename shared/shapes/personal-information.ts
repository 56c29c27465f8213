import { z } from 'zod'

/** Name and contact details of a user, after a change. */
export const personalInformation = z.strictObject({
  first_name: z.string().nullable(),
  last_name: z.string().nullable(),
  email: z.string().nullable(),
  display_first_name: z.string().nullable(),
  display_last_name: z.string().nullable(),
  title: z.string().nullable(),
  phone: z.string().nullable(),
  fax: z.string().nullable(),
})
