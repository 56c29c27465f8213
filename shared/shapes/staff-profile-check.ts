import { z } from 'zod'
import { privateStaffProfile, staffProfile } from './staff-profile.ts'

/** Whether a user has a staff profile and is active, with the profile in the view of the client. */
export const staffProfileCheck = z.strictObject({
  exists: z.boolean(),
  is_active: z.boolean(),
  profile: z.union([staffProfile, privateStaffProfile]).nullable(),
})
