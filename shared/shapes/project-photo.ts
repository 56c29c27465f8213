import { z } from 'zod'
import { fileUrl, id, perthTime } from './values.ts'

/** The photo of a project in lists for authenticated users. */
export const tinyPhoto = z.strictObject({
  id,
  file: fileUrl.nullable(),
  project: z.strictObject({ id, title: z.string() }),
  uploader: z.strictObject({ id, username: z.string() }).nullable(),
})

/** The photo of a project with its size in bytes and its timestamps. */
export const photo = tinyPhoto.extend({
  created_at: perthTime,
  updated_at: perthTime,
  size: z.int().nonnegative(),
})

/** The photo of a project for the public: without its uploader. */
export const publicPhoto = photo.extend({ uploader: z.null() })
