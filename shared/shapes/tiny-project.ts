import { z } from 'zod'
import { businessArea } from './business-area.ts'
import { tinyPhoto } from './project-photo.ts'
import { id } from './values.ts'

/** A project in its short shape. */
export const tinyProject = z.strictObject({
  id,
  title: z.string(),
  status: z.string(),
  kind: z.string().nullable(),
  year: z.int(),
  number: z.int(),
  business_area: businessArea.nullable(),
  image: tinyPhoto.nullable(),
})
