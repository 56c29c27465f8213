import { z } from 'zod'
import { area } from './area.ts'
import { businessArea } from './business-area.ts'
import { photo } from './project-photo.ts'
import { calendarDate, id, perthTime } from './values.ts'

/** A project in its full shape. */
export const project = z.strictObject({
  id,
  image: photo.nullable(),
  business_area: businessArea.nullable(),
  deletion_request_id: id.nullable(),
  areas: z.array(area),
  created_at: perthTime,
  updated_at: perthTime,
  kind: z.string().nullable(),
  status: z.string(),
  year: z.int(),
  number: z.int(),
  title: z.string(),
  description: z.string().nullable(),
  tagline: z.string().nullable(),
  keywords: z.string().nullable(),
  start_date: calendarDate.nullable(),
  end_date: calendarDate.nullable(),
  deletion_requested: z.boolean(),
  hidden_from_staff_profiles: z.array(id),
})
