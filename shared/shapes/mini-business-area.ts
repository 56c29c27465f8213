import { z } from 'zod'
import { fileUrl, id } from './values.ts'

const person = z.strictObject({ id })

/** A business area inside the entity of its leader. */
export const miniBusinessArea = z.strictObject({
  id,
  name: z.string(),
  leader: person.nullable(),
  caretaker: person.nullable(),
  image: fileUrl.nullable(),
  project_count: z.int().nonnegative(),
  division: z.strictObject({ id, name: z.string(), slug: z.string() }).nullable(),
})
