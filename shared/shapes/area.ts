import { z } from 'zod'
import { id, perthTime } from './values.ts'

/** An area on the map. */
export const area = z.strictObject({ id, name: z.string(), area_type: z.string() })

/** A single area. */
export const areaDetail = area.extend({ created_at: perthTime, updated_at: perthTime })
