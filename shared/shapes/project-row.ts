import { z } from 'zod'
import { businessArea, publicBusinessArea } from './business-area.ts'
import { photo, publicPhoto } from './project-photo.ts'
import { tinyProject } from './tiny-project.ts'
import { id, perthTime } from './values.ts'

const tag = z.string().regex(/^(CF|SP|STP|EXT|UNKNOWN)-\d+-\d+$/)

/** A project in its short shape, with the role of the user. */
export const ownProject = tinyProject.extend({ role: z.string(), tag, created_at: perthTime })

/** A project with the role of one member. Its dates are years. */
export const projectRow = z.strictObject({
  id,
  title: z.string(),
  role: z.string(),
  tag,
  image: photo.nullable(),
  kind: z.string().nullable(),
  created_at: perthTime,
  status: z.string(),
  business_area: businessArea.nullable(),
  description: z.string().nullable(),
  start_date: z.int().nullable(),
  end_date: z.int().nullable(),
})

/** A project on the public page of a member. */
export const publicProjectRow = projectRow.extend({
  image: publicPhoto.nullable(),
  business_area: publicBusinessArea.nullable(),
})
