import { z } from 'zod'
import { affiliation } from './affiliation.ts'
import { agency } from './agency.ts'
import { branch } from './branch.ts'
import { businessArea } from './business-area.ts'
import { caretakee, caretaker } from './caretaker.ts'
import { miniBusinessArea } from './mini-business-area.ts'
import { fileUrl, id, perthTime } from './values.ts'

const everywhere = z.strictObject({
  id,
  username: z.string(),
  email: z.string().nullable(),
  display_first_name: z.string().nullable(),
  display_last_name: z.string().nullable(),
  first_name: z.string().nullable(),
  last_name: z.string().nullable(),
  is_superuser: z.boolean(),
  is_staff: z.boolean(),
  is_active: z.boolean(),
  is_aec: z.boolean(),
  date_joined: perthTime,
  image: fileUrl.nullable(),
  role: z.string().nullable(),
  branch: branch.nullable(),
  business_area: businessArea.nullable(),
  affiliation: affiliation.nullable(),
  business_areas_led: z.array(miniBusinessArea),
  caretakers: z.array(caretaker),
  caretaking_for: z.array(caretakee),
  about: z.string(),
  expertise: z.string(),
})

/**
 * A user as other users see them. Without the time of the last log-in, so that a log-in makes no
 * entry stale.
 */
export const user = everywhere.extend({
  old_pk: z.int().nullable(),
  groups: z.array(id),
  user_permissions: z.array(id),
})

const personalInformation = { title: z.string(), phone: z.string(), fax: z.string() }

/** A user as superusers and that user see it. */
export const privateUser = user.extend(personalInformation)

/** A user's view of themselves. */
export const me = everywhere.extend({
  ...personalInformation,
  staff_profile_id: id.nullable(),
  staff_profile_hidden: z.boolean(),
  public_email: z.string(),
  public_email_on: z.boolean(),
  custom_title: z.string(),
  custom_title_on: z.boolean(),
  agency: agency.nullable(),
})

/** Whether a user is a member of staff. */
export const staffMark = z.strictObject({ is_staff: z.boolean() })
