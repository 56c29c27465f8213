import { z } from 'zod'
import { id } from './values.ts'

const count = z.int().nonnegative()
const tally = z.record(z.string(), count)

/** Numbers of projects and documents. */
export const projectStatistics = z.strictObject({
  total_projects: count,
  active_projects: count,
  projects_without_location: count,
  by_status: tally,
  by_kind: tally,
  by_year: z.array(z.strictObject({ year: z.int(), count })),
  by_business_area: z.array(
    z.strictObject({ id: id.nullable(), name: z.string().nullable(), count }),
  ),
  documents: z.strictObject({ by_kind: tally, by_status: tally }),
})
