import { z } from 'zod'

/** The texts of a user's staff profile, after a change. */
export const profileText = z.strictObject({
  title: z.string().nullable(),
  about: z.string().nullable(),
  expertise: z.string().nullable(),
})
