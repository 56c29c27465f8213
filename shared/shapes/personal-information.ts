import { z } from 'zod'

/** How a user is called and reached, after they changed it. */
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
