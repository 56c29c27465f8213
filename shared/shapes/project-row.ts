import { z } from 'zod'
import { publicBusinessArea } from './business-area.ts'
import { publicPhoto } from './project-photo.ts'
import { id, perthTime } from './values.ts'

/** A project on the public page of one of its members; its dates are years. */
export const publicProjectRow = z.strictObject({
  id,
  title: z.string(),
  role: z.string(),
  tag: z.string().regex(/^(CF|SP|STP|EXT|UNKNOWN)-\d+-\d+$/),
  image: publicPhoto.nullable(),
  kind: z.string().nullable(),
  created_at: perthTime,
  status: z.string(),
  business_area: publicBusinessArea.nullable(),
  description: z.string().nullable(),
  start_date: z.int().nullable(),
  end_date: z.int().nullable(),
})
