import { z } from 'zod'
import { affiliation } from './affiliation.ts'
import { branch } from './branch.ts'
import { businessArea } from './business-area.ts'
import { miniBusinessArea } from './mini-business-area.ts'
import { fileUrl, id } from './values.ts'

/** A user in the short shape that other users see. */
export const tinyUser = z.strictObject({
  id,
  first_name: z.string().nullable(),
  last_name: z.string().nullable(),
  display_first_name: z.string().nullable(),
  display_last_name: z.string().nullable(),
  name: z.string(),
  username: z.string(),
  email: z.string().nullable(),
  is_active: z.boolean(),
  is_staff: z.boolean(),
  is_superuser: z.boolean(),
  image: fileUrl.nullable(),
  affiliation: affiliation.nullable(),
  business_area: businessArea.nullable(),
  branch: branch.nullable(),
  role: z.string().nullable(),
  business_areas_led: z.array(miniBusinessArea),
})
