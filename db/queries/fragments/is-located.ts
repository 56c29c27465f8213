import { type Expression, expressionBuilder, sql } from 'kysely'
import type { Database } from '../../schema.ts'

const eb = expressionBuilder<Database>()

/** Whether a project has areas. The areas may have been deleted since. */
export const isLocated = (projectId: Expression<string>) =>
  eb.exists(
    eb
      .selectFrom('projects_projectarea as location')
      .select('location.id')
      .where('location.project_id', '=', projectId)
      .where((row) => sql<boolean>`cardinality(${row.ref('location.areas')}) > 0`),
  )
