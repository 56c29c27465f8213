import { z } from 'zod'
import { fileUrl, id, pageOf } from './values.ts'

const person = z.strictObject({
  id,
  first_name: z.string().nullable(),
  last_name: z.string().nullable(),
  email: z.string().nullable(),
})

const avatar = z.strictObject({ id, file: fileUrl.nullable(), user: z.strictObject({ id }) })

const businessArea = z.strictObject({ id, name: z.string() })

const work = z.strictObject({
  id,
  role: z.string().nullable(),
  business_area: businessArea.nullable(),
})

const keyword = z.strictObject({ id, name: z.string() })

/** A job on a CV. */
export const employment = z.strictObject({
  id,
  position_title: z.string(),
  start_year: z.int().nonnegative(),
  end_year: z.int().nonnegative().nullable(),
  section: z.string().nullable(),
  employer: z.string().nullable(),
  public_profile: id,
})

/** A qualification on a CV. */
export const education = z.strictObject({
  id,
  qualification_name: z.string(),
  end_year: z.int().nonnegative(),
  institution: z.string(),
  location: z.string(),
  public_profile: id,
})

/** Header of a profile's page. */
export const staffHero = z.strictObject({
  id,
  user: person,
  avatar: avatar.nullable(),
  work: work.nullable(),
  about: z.string().nullable(),
})

/** Expertise of a staff member. */
export const staffOverview = z.strictObject({
  id,
  expertise: z.string().nullable(),
  keywords: z.array(keyword),
})

/** CV of a staff member, newest entries first. */
export const staffCv = z.strictObject({
  id,
  employment_entries: z.array(employment),
  education_entries: z.array(education),
})

/** A complete profile for its owner and for superusers. */
export const privateStaffProfile = z.strictObject({
  ...staffHero.shape,
  ...staffOverview.shape,
  ...staffCv.shape,
  is_hidden: z.boolean(),
  custom_title: z.string().nullable(),
  custom_title_on: z.boolean(),
  public_email: z.string().nullable(),
  public_email_on: z.boolean(),
})

/** A complete profile for the public: its settings are constants. */
export const staffProfile = privateStaffProfile.extend({
  is_hidden: z.literal(false),
  custom_title: z.null(),
  custom_title_on: z.literal(false),
  public_email: z.null(),
  public_email_on: z.literal(false),
})

const staffRow = z.strictObject({
  id,
  user: person,
  image: fileUrl.nullable(),
  business_area: businessArea.nullable(),
  about: z.string().nullable(),
  expertise: z.string().nullable(),
  is_hidden: z.literal(false),
})

/** A page of the staff list. */
export const staffPage = pageOf({ profiles: z.array(staffRow) })
