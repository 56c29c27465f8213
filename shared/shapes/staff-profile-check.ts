import { z } from 'zod'
import { privateStaffProfile, staffProfile } from './staff-profile.ts'

/** Whether a user has a staff profile, whether they are active, and what it shows to whoever asks. */
export const staffProfileCheck = z.strictObject({
  exists: z.boolean(),
  is_active: z.boolean(),
  profile: z.union([staffProfile, privateStaffProfile]).nullable(),
})
