import { z } from 'zod'
import { id } from './values.ts'

/** An area on the map. */
export const area = z.strictObject({ id, name: z.string(), area_type: z.string() })
